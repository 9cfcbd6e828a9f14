// A server of Socket.IO: socket_io_server.js pubsub|sharded PORT, where PORT is that of its Redis. Each line of stdin is
// [operation, ...arguments] in JSON; each line of stdout what happened, [name, ...details].
'use strict';

const { createServer } = require('http');
const readline = require('readline');
const Redis = require('ioredis');
const { createAdapter, createShardedAdapter } = require('@socket.io/redis-adapter');
const { Server } = require('socket.io');

const [kind, port] = process.argv.slice(2);
const say = (...words) => console.log(JSON.stringify(words));

function connect() {
  const redis = new Redis({ host: '127.0.0.1', port: Number(port), retryStrategy: () => 50, maxRetriesPerRequest: null });
  redis.on('error', () => {});
  return redis;
}

const subscriber = connect();
const adapter = kind === 'sharded' ? createShardedAdapter(connect(), subscriber) : createAdapter(connect(), subscriber);
subscriber.on('close', () => say('redis lost'));

const http = createServer();
const io = new Server(http, { adapter });
io.on('connection', (socket) => {
  socket.data.name = socket.handshake.auth.name;
  socket.join(socket.handshake.auth.rooms);
  socket.emit('here');
});
io.on('word', (...words) => {
  const done = words.pop();
  if (typeof done === 'function') done(`${process.pid} ${words[0]}`);
  else say('server', ...words, done);
});

const names = (sockets) => sockets.map(({ data }) => data.name).sort();
const operations = {
  // To clients of these rooms or to all, except those of others.
  emit: ({ rooms = [], except = [], local = false }, ...words) =>
    (local ? io.local : io).to(rooms).except(except).emit('message', ...words),
  burst: (rooms, from, to) => {
    for (let n = from; n < to; n++) io.to(rooms).emit('message', n);
  },
  bytes: (...bytes) => io.emit('message', { bytes: Buffer.from(bytes) }),
  join: (rooms, more) => io.in(rooms).socketsJoin(more),
  leave: (rooms, more) => io.in(rooms).socketsLeave(more),
  disconnect: (rooms) => io.in(rooms).disconnectSockets(true),
  tell: (...words) => io.serverSideEmit('word', ...words),
  ask: async (word) => say('answers', await io.serverSideEmitWithAck('word', word)),
  count: async () => say('count', await io.of('/').adapter.serverCount()),
  fetch: async (rooms) => say('sockets', names(await (rooms.length ? io.in(rooms) : io).fetchSockets())),
};

http.listen(0, '127.0.0.1', () => say('port', http.address().port));
readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const [operation, ...words] = JSON.parse(line);
  try {
    await operations[operation](...words);
  } catch (error) {
    say('failed', operation, error.message);
  }
}).on('close', () => process.exit(0));

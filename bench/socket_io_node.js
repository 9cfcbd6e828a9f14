'use strict';

/*
 * A node of Socket.IO for bench/nodes.
 *
 *	socket_io_node.js MODULES ADAPTER REDIS_PORT PORT CONTROL_PORT DATA
 *
 * MODULES is the folder node_modules. ADAPTER is plain or sharded: the two of @socket.io/redis-adapter. The program listens on
 * PORT for clients, which join rooms, and on CONTROL_PORT for lines. The line "emit ROOM,ROOM" sends DATA, which is JSON, to
 * each of the rooms; the answer is an empty line. The answer to "bytes" is the number of bytes from redis-server until now.
 */
const { createServer } = require('node:http');
const { createRequire } = require('node:module');
const net = require('node:net');
const path = require('node:path');
const readline = require('node:readline');

const [modules, kind, redisPort, port, controlPort, data] = process.argv.slice(2);
const load = createRequire(path.join(modules, 'x.js'));
const { Redis } = load('ioredis');
const { Server } = load('socket.io');
const { createAdapter, createShardedAdapter } = load('@socket.io/redis-adapter');

const HOUR_MS = 3600 * 1000; /* no ping comes in between */

const engines = [0, 1].map(() => new Redis({ host: '127.0.0.1', port: Number(redisPort) }));
const http = createServer();
const io = new Server(http, {
  adapter: (kind === 'sharded' ? createShardedAdapter : createAdapter)(...engines),
  transports: ['websocket'],
  pingInterval: HOUR_MS,
});
io.on('connection', (socket) => socket.on('join', (room, done) => Promise.resolve(socket.join(room)).then(() => done())));

function answer(line) {
  const [command, rooms] = line.split(' ');
  if (command === 'bytes') return engines.reduce((sum, engine) => sum + engine.stream.bytesRead, 0);
  const message = JSON.parse(data);
  for (const room of rooms.split(',')) io.to(room).emit('news', message);
  return '';
}

net
  .createServer((socket) => {
    socket.setNoDelay(true);
    readline.createInterface({ input: socket }).on('line', (line) => socket.write(`${answer(line)}\n`));
  })
  .listen(Number(controlPort), '127.0.0.1', async () => {
    /* The adapter has sent its subscriptions before. */
    await Promise.all(engines.map((engine) => engine.ping()));
    http.listen(Number(port), '127.0.0.1', 4096);
  });

// Two servers of Socket.IO that share messages through an adapter, "streams" or "pubsub". The words after the deadline in
// seconds are one port, or the ports of two leaves. Its status tells.
'use strict';

const assert = require('assert');
const { createServer } = require('http');
const Redis = require('ioredis');
const { createClient } = require('redis');
const { createAdapter: pubsubAdapter } = require('@socket.io/redis-adapter');
const { createAdapter: streamsAdapter } = require('@socket.io/redis-streams-adapter');
const { Server } = require('socket.io');
const { io: connect } = require('socket.io-client');

const [kind, deadline, ...ports] = process.argv.slice(2);
const timeout = Number(deadline) * 1000;
const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

async function until(condition, what) {
  for (const end = Date.now() + timeout; !(await condition());) {
    assert(Date.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function adapter(port) {
  if (kind === 'streams') return streamsAdapter(await createClient({ url: `redis://127.0.0.1:${port}` }).connect());
  return pubsubAdapter(new Redis({ host: '127.0.0.1', port }), new Redis({ host: '127.0.0.1', port }));
}

async function server(port) {
  const http = createServer();
  const io = new Server(http, { adapter: await adapter(port), connectionStateRecovery: {} });
  io.on('connection', (socket) => socket.on('room', (name, done) => Promise.resolve(socket.join(name)).then(done)));
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  const client = connect(`http://127.0.0.1:${http.address().port}`, { transports: ['websocket'], reconnectionDelay: 10 });
  await once(client, 'connect');
  return { io, client };
}

// Bytes to all clients, and a message to one room.
async function broadcast(one, two) {
  const messages = [once(one.client, 'all'), once(two.client, 'all')];
  one.io.emit('all', { text: 'ключ 🎺', bytes: Buffer.from([0, 255]) });
  for (const message of await Promise.all(messages)) {
    assert.deepStrictEqual([message.text, [...message.bytes]], ['ключ 🎺', [0, 255]]);
  }
  one.client.on('room', () => assert.fail('this client is not in the room'));
  await two.client.emitWithAck('room', 'orders');
  const message = once(two.client, 'room');
  one.io.to('orders').emit('room', 17);
  assert.strictEqual(await message, 17);
}

// Requests from server to server, which count the replies.
async function ask(one, two) {
  await until(async () => await one.io.of('/').adapter.serverCount() === 2, 'both servers know each other');
  [one, two].forEach(({ client }, number) => client.on('ask', (done) => done(number)));
  assert.deepStrictEqual((await one.io.timeout(timeout).emitWithAck('ask')).sort(), [0, 1]);
  two.io.on('ask', (word, done) => done(word.toUpperCase()));
  assert.deepStrictEqual(await one.io.serverSideEmitWithAck('ask', 'word'), ['WORD']);
  const ids = async (io) => (await io.fetchSockets()).map((socket) => socket.id).sort();
  assert.deepStrictEqual(await ids(one.io), [one.client.id, two.client.id].sort());
  assert.deepStrictEqual(await ids(one.io.in('orders')), [two.client.id]);
}

// The stream gives a client that comes back the messages that it missed.
async function recover(one, two) {
  const { id } = two.client;
  const gone = once(two.client, 'disconnect');
  two.client.io.engine.close();
  await gone;
  const missed = once(two.client, 'missed');
  one.io.emit('missed', 18);
  assert.strictEqual(await missed, 18);
  assert(two.client.recovered && two.client.id === id);
}

async function main() {
  const one = await server(ports[0]);
  const two = await server(ports[1] || ports[0]);
  let probed = false;
  two.client.once('probe', () => { probed = true; });
  await until(() => one.io.emit('probe') && probed, 'a message arrives');
  await broadcast(one, two);
  // A leaf counts only its own subscribers, so a server does not wait for the replies of servers at other leaves.
  if (!ports[1]) await ask(one, two);
  if (kind === 'streams') await recover(one, two);
  await until(() => one.io.in('orders').disconnectSockets(true) || two.client.disconnected, 'one server disconnects clients of the other');
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});

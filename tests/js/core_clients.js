'use strict';

/*
 * core_clients.js PORT COUNT: that many WebSocket clients of examples/node-wasi-server in COUNT / 10 rooms. Each joins its
 * room and reads its own channel; then one client of each room publishes ten messages. Prints what was received as JSON.
 */
const { WebSocket } = require('ws');

const port = process.argv[2], count = Number(process.argv[3]);
const MESSAGES = 10;

function open(i) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/?user=u${i}`);
    const client = { socket, received: [], errors: 0, waiting: [] };
    socket.on('message', (data) => {
      const body = JSON.parse(data);
      if (body.channel !== undefined) client.received.push(`${body.channel} ${body.data}`);
      else if (body.error !== undefined) client.errors++;
      if (body.channel === undefined) client.waiting.shift()?.(body);
      client.changed?.();
    });
    socket.on('open', () => resolve(client));
    socket.on('error', reject);
  });
}

function ask(client, request) {
  return new Promise((resolve) => {
    client.waiting.push(resolve);
    client.socket.send(JSON.stringify(request));
  });
}

function hasReceived(client, wanted) {
  return new Promise((resolve) => {
    client.changed = () => client.received.length >= wanted && resolve();
    client.changed();
  });
}

async function main() {
  const clients = [];
  while (clients.length < count) {
    const some = Array.from({ length: Math.min(50, count - clients.length) }, (_, i) => open(clients.length + i));
    clients.push(...(await Promise.all(some)));
  }
  const room = (i) => `room.${Math.floor(i / 10)}`;
  await Promise.all(clients.map((client, i) => ask(client, { subscribe: room(i) })));
  await Promise.all(clients.map((client, i) => ask(client, { psubscribe: `user.u${i}.*` })));
  /* Nobody else's channels. */
  await Promise.all(clients.map((client, i) => ask(client, { subscribe: `user.u${i + 1}.mail` })));
  await Promise.all(clients.map((client, i) => ask(client, { psubscribe: '*', hint: i })));
  for (let i = 0; i < count; i += 10)
    for (let n = 0; n < MESSAGES; n++) clients[i].socket.send(JSON.stringify({ publish: room(i), data: String(n) }));
  clients.forEach((client, i) => client.socket.send(JSON.stringify({ publish: `user.u${i}.mail`, data: 'own' })));
  await Promise.all(clients.map((client) => hasReceived(client, MESSAGES + 1)));
  await Promise.all(clients.map((client, i) => ask(client, { unsubscribe: room(i) })));
  const last = await ask(clients[0], { publish: 'room.0', data: 'to nobody' });
  const wrong = clients.filter((client, i) => {
    const expected = Array.from({ length: MESSAGES }, (_, n) => `${room(i)} ${n}`);
    const ofRoom = client.received.filter((line) => line.startsWith('room.'));
    return ofRoom.join() !== expected.join() || client.received.length !== MESSAGES + 1 ||
      !client.received.includes(`user.u${i}.mail own`);
  });
  const errors = clients.reduce((sum, client) => sum + client.errors, 0);
  console.log(JSON.stringify({ clients: clients.length, wrong: wrong.length, refused: errors, receivers: last.receivers }));
  for (const client of clients) client.socket.terminate();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

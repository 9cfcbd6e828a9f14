'use strict';

/*
 * core_hostile_clients.js PORT: clients that examples/node-wasi-server must bear. Prints as JSON with which codes it closed
 * connections, and what it took of a client that reads no answers.
 */
const net = require('node:net');
const { WebSocket } = require('ws');

const port = process.argv[2];
const REQUESTS = 1500, REQUEST = 60000;

const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function open(user) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/?user=${encodeURIComponent(user)}`);
    socket.on('open', () => resolve(socket));
    socket.on('error', reject);
  });
}

async function closeCode(user) {
  const socket = await open(user);
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      socket.terminate();
      resolve('still open');
    }, 5000);
    socket.on('close', (code) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
}

/** The close code in the first frame that follows the answer to an upgrade with this URL. */
function closeCodeOfUrl(url) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    let bytes = Buffer.alloc(0);
    socket.on('error', reject);
    socket.on('close', () => resolve('closed without a code'));
    socket.on('data', (data) => {
      bytes = Buffer.concat([bytes, data]);
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0 || bytes.length < end + 8) return;
      resolve(bytes[end + 4] === 0x88 ? bytes.readUInt16BE(end + 6) : 'another frame');
      socket.destroy();
    });
    socket.write(`GET ${url} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n');
  });
}

/** Sends requests whose answers are as long, reads none until the server takes no more requests, and then all. */
async function neverReads() {
  const socket = await open('greedy');
  let answers = 0, requests = 0, taken = 0;
  socket.on('message', () => answers++);
  socket.pause();
  const request = JSON.stringify({ publish: 'x'.repeat(REQUEST) });
  while (taken === requests && requests < REQUESTS) {
    const sent = new Promise((resolve) => socket.send(request, () => resolve(taken++)));
    requests++;
    await Promise.race([sent, delay(2000)]);
  }
  const unread = taken * REQUEST;
  socket.resume();
  for (let i = 0; i < 1000 && answers < requests; i++) await delay(20);
  socket.terminate();
  return { unread, answers, requests };
}

async function ask(socket, requests) {
  const answers = [];
  const done = new Promise((resolve) => {
    socket.on('message', (data) => answers.push(JSON.parse(data)) === requests.length && resolve());
  });
  for (const request of requests) socket.send(JSON.stringify(request));
  await done;
  socket.terminate();
  return answers.filter((answer) => answer.subscribed !== undefined).length;
}

async function main() {
  const names = {};
  for (const user of ['*', 'a.b', '', '[a-z]nn', 'ann\n']) names[user] = await closeCode(user);
  const url = await closeCodeOfUrl('//');
  const rooms = Array.from({ length: 1100 }, (_, i) => ({ subscribe: `room.${i}` }));
  const subscriptions = await ask(await open('ann'), rooms);
  const longNames = await ask(await open('ann'), [{ subscribe: `room.${'x'.repeat(252)}` }]);
  console.log(JSON.stringify({ names, url, subscriptions, longNames, ...(await neverReads()) }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

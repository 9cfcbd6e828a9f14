// The package ws, unchanged: ws_client.js URL COMPRESS COUNT subscribes to the channel `a`, publishes COUNT messages to it and checks
// that each comes back. COMPRESS is yes or no. Prints the extensions that were agreed on and how many bytes came.
'use strict';

const assert = require('assert');
const WebSocket = require('ws');

const [url, compress, count] = process.argv.slice(2);
const socket = new WebSocket(url, { perMessageDeflate: compress === 'yes' });
const messages = Array.from({ length: Number(count) }, (_, n) => ({ n, text: `message ${n} `.repeat(n) }));
let seen = 0;

socket.on('open', () => {
  socket.send('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"a"}}');
  messages.forEach((data, n) => socket.send(JSON.stringify({ id: 3 + n, publish: { channel: 'a', data } })));
});
socket.on('message', (text, isBinary) => {
  const message = JSON.parse(text);
  assert(!isBinary && !message.error, String(text));
  if (!message.push) return;
  assert.deepStrictEqual(message.push, { channel: 'a', pub: { data: messages[seen] } });
  seen += 1;
  if (seen === messages.length) socket.ping();
});
socket.on('pong', () => socket.close(1000, 'done'));
socket.on('close', (code) => {
  assert.strictEqual(code, 1000);
  assert.strictEqual(seen, messages.length);
  console.log(JSON.stringify([socket.extensions, bytes()]));
});
const bytes = () => socket._bytesRead ?? raw;
let raw = 0;
socket.on('upgrade', (response) => response.socket.on('close', () => { raw = response.socket.bytesRead; }));

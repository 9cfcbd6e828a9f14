// Clients of Socket.IO in one process. Each line of stdin is [name, port, room...] and connects one to the server at this port;
// each line of stdout is [name, event, ...details].
'use strict';

const readline = require('readline');
const { io } = require('socket.io-client');

const say = (...words) => console.log(JSON.stringify(words));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const [name, port, ...rooms] = JSON.parse(line);
  const client = io(`http://127.0.0.1:${port}`, { auth: { name, rooms }, transports: ['websocket'], reconnectionDelay: 10 });
  client.on('here', () => say(name, 'here'));
  client.on('disconnect', (reason) => say(name, 'gone', reason));
  client.on('message', (...words) => say(name, 'message', ...words.map((word) => (word.bytes ? [...word.bytes] : word))));
}).on('close', () => process.exit(0));

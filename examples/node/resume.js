#!/usr/bin/env node
// Subscribes to three channels, and goes on where it was whenever it or the server was restarted.
//
//     npm install && node resume.js [FILE]     until interrupted; FILE has the positions, by default shop.positions
//     COUNT=3 node resume.js                   exits after three events
//
// The channels must keep a history, in fanfared.conf or by CHANNEL SET:
//
//     channel orders    history-size 10000 history-ttl 86400
//     channel payments  history-size 10000 history-ttl 86400
//     channel shipments history-size 10000 history-ttl 86400
//
// FANFARE_HOST and FANFARE_PORT name the server.
'use strict';

const fs = require('fs');
const Redis = require('ioredis');

const CHANNELS = ['orders', 'payments', 'shipments'];

// For each channel the position up to which all events were handled. 0: everything that is kept.
const file = process.argv[2] || 'shop.positions';
const positions = Object.fromEntries(CHANNELS.map((name) => [name, '0']));
if (fs.existsSync(file)) Object.assign(positions, JSON.parse(fs.readFileSync(file, 'utf8')));

// Replaces the file in one step, so that it is complete whenever this program is killed.
function save(names, position) {
  for (const name of names) positions[name] = position;
  fs.writeFileSync(`${file}.new`, JSON.stringify(positions));
  fs.renameSync(`${file}.new`, file);
}

// Has the server replay what is behind the positions, as soon as the channels are subscribed.
async function resume(client) {
  await client.call('OUTBOX', 'SET', 'POSITIONS', 'yes');
  for (let names = CHANNELS; names.length > 0;) {
    const reply = await client.call('RESUME', ...names.flatMap((name) => [name, positions[name]]));
    names = [];
    for (const [name, verdict, position] of reply) {
      if (verdict === 'none') {
        console.error(`resume: ${name} keeps no history; set the options history-size and history-ttl`);
        process.exit(1);
      }
      if (verdict === 'lost') {
        // The position in the reply is the one behind which everything is kept; the next RESUME begins there.
        console.log(`${name}: lost what came after ${positions[name]}`);
        names.push(name);
      }
      save([name], position);
    }
  }
  await client.subscribe(...CHANNELS);
}

const count = Number(process.env.COUNT || 0);
let handled = 0;

const client = new Redis({
  host: process.env.FANFARE_HOST || '127.0.0.1',
  port: Number(process.env.FANFARE_PORT || 6379),
  keepAlive: 30000,
  // This program resumes at each 'ready' itself: a subscription of the library would begin with new messages.
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  retryStrategy: (attempt) => (0.5 + Math.random() / 2) * Math.min(200 * 2 ** attempt, 10000),
});

client.on('error', (error) => console.error(error.message));
client.on('ready', async () => {
  try {
    await resume(client);
    console.error(`subscribed to ${CHANNELS.join(', ')}`);
  } catch (error) {
    // Events expired between RESUME and SUBSCRIBE (LOST), or the connection is lost: once more.
    console.error(error.message);
    if (client.status === 'ready') client.disconnect(true);
  }
});
client.on('message', (name, data) => {
  if (count > 0 && handled >= count) return;
  const end = data.indexOf(' ');
  console.log(`${name}: ${data.slice(end + 1)}`);
  // After the event: it may come again, but is never missed. Events of channels that were subscribed together come in the
  // order of their positions, so this position is also one of the other channels. A quiet channel's would become too old.
  // 0-0: the channel has stopped keeping a history.
  const position = data.slice(0, end);
  if (position !== '0-0') save(CHANNELS, position);
  if (++handled === count) client.quit();
});

#!/usr/bin/env node
// Reacts when the status of an order changes, and finds its way back when the server restarts.
//
//     npm install && node receiver.js          for ever
//     COUNT=3 node receiver.js                 ends after three events
//
// FANFARE_HOST and FANFARE_PORT say where fanfared is.
'use strict';

const Redis = require('ioredis');

// False for what is no event: another program's mistake must not stop this one.
function handle(channel, data) {
  try {
    const { order, status } = JSON.parse(data);
    if (order === undefined || status === undefined) throw new Error('order or status is missing');
    console.log(`order ${order}: ${status}`);
    return true;
  } catch (error) {
    console.error(`${channel}: not an event: ${error.message}`);
    return false;
  }
}

const count = Number(process.env.COUNT || 0);
let handled = 0;

const client = new Redis({
  host: process.env.FANFARE_HOST || '127.0.0.1',
  port: Number(process.env.FANFARE_PORT || 6379),
  // A receiver is silent most of the time: have the kernel see whether the server still lives.
  keepAlive: 30000,
  // We subscribe at each 'ready' ourselves, and so can say when it is done.
  autoResubscribe: false,
  retryStrategy: (attempt) => (0.5 + Math.random() / 2) * Math.min(200 * 2 ** attempt, 10000),
});

client.on('error', (error) => console.error(error.message));
client.on('close', () => {
  if (count === 0 || handled < count) console.error('connection lost; what is published now is missed');
});
client.on('ready', async () => {
  try {
    await client.psubscribe('orders.*');
    console.error('subscribed to orders.*');
  } catch (error) {
    console.error(error.message);
  }
});
client.on('pmessage', (pattern, channel, data) => {
  if (count > 0 && handled >= count) return;
  if (handle(channel, data)) handled++;
  if (handled === count) client.quit();
});

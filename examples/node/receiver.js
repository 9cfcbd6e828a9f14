#!/usr/bin/env node
// Receives an event when the status of an order changes, and reconnects when the server restarts.
//
//     npm install && node receiver.js          until interrupted
//     COUNT=3 node receiver.js                 exits after three events
//
// FANFARE_HOST and FANFARE_PORT name the server.
'use strict';

const Redis = require('ioredis');

// Returns false if the message is not an event: a mistake of another program must not stop this one.
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
  // A receiver sends nothing most of the time. TCP keepalive detects a server that has vanished.
  keepAlive: 30000,
  // This program subscribes at each 'ready' itself, so that it can report when that is done.
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

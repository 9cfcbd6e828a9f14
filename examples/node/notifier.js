#!/usr/bin/env node
// An order service that tells whoever listens when the status of an order changes.
//
//     npm install && node notifier.js          an event a second, for ever
//     COUNT=3 INTERVAL=0.1 node notifier.js
//
// FANFARE_HOST and FANFARE_PORT say where fanfared is.
'use strict';

const Redis = require('ioredis');

const STATUSES = ['placed', 'paid', 'packed', 'shipped'];

// What the rest of the service calls; it knows nothing of channels.
class Orders {
  constructor(client) {
    this.client = client;
  }

  // Saves the status (left out here), then tells. Resolves to how many subscriptions heard it.
  async setStatus(order, status) {
    const event = { order, status, at: Date.now() / 1000 };
    return this.client.publish(`orders.${order}.status`, JSON.stringify(event));
  }
}

const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

async function main() {
  const client = new Redis({
    host: process.env.FANFARE_HOST || '127.0.0.1',
    port: Number(process.env.FANFARE_PORT || 6379),
    retryStrategy: (attempt) => (0.5 + Math.random() / 2) * Math.min(200 * 2 ** attempt, 10000),
  });
  // Without a listener ioredis would print each failure whole; it connects again either way.
  client.on('error', (error) => console.error(error.message));

  const orders = new Orders(client);
  const count = Number(process.env.COUNT || 0);
  const interval = Number(process.env.INTERVAL || 1);
  for (let number = 1; ; number++) {
    const order = 17 + Math.floor((number - 1) / STATUSES.length);
    const status = STATUSES[(number - 1) % STATUSES.length];
    const heard = await orders.setStatus(order, status);
    console.log(`order ${order}: ${status}, heard by ${heard}`);
    if (number === count) break;
    await sleep(interval);
  }
  await client.quit();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});

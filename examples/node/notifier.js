#!/usr/bin/env node
// An order service that publishes an event when the status of an order changes.
//
//     npm install && node notifier.js          one event per second, until interrupted
//     COUNT=3 INTERVAL=0.1 node notifier.js
//
// FANFARE_HOST and FANFARE_PORT name the server.
'use strict';

const Redis = require('ioredis');

const STATUSES = ['placed', 'paid', 'packed', 'shipped'];

// The interface for the rest of the service, which does not know about channels.
class Orders {
  constructor(client) {
    this.client = client;
  }

  // Saves the status (left out here), then publishes it. Resolves to the number of subscriptions that received it.
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
  // Without a listener ioredis prints each failure with its stack. It reconnects in both cases.
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

'use strict';

/* The package under test: the installed one, or the sources with the module that FANFARE_CORE_WASM names. */
const core = require(process.env.FANFARE_CORE_PACKAGE || '..');

/** A hub that is closed at the end of the test. */
function newHub(t, options) {
  const hub = new core.Hub(options);
  t.after(() => hub.close());
  return hub;
}

/** A subscriber, and what it gets: payloads, and numbers of missed messages. */
function listen(hub, limits, ...channels) {
  const got = [];
  const subscriber = hub.subscriber(limits, (message) => got.push(message.payload));
  subscriber.on('missed', (count) => got.push(count));
  for (const channel of channels) subscriber.subscribe(channel);
  return { subscriber, got };
}

/** Resolves when condition() is true; fails after some seconds. */
async function until(condition, what) {
  const end = Date.now() + 10000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

module.exports = { ...core, newHub, listen, until, numbers };

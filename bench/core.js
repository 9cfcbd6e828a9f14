#!/usr/bin/env node
'use strict';

/*
 * The cost of the package fanfare-core beside what a Node program would write otherwise.
 *
 *	core.js WAY SUBSCRIBERS PATTERNS PAYLOAD MESSAGES
 *
 * WAY is module (the package), emitter (an EventEmitter) or map (a Map from the channel to a Set of functions). The last two
 * call their listeners at once, and try each pattern of other subscribers, none of which matches, as a regular expression.
 * Prints ns per message for publishing and reading together, of the fastest of several turns, which take a second at least, as
 * the compilers of V8 need some time. The arguments are those of bench/core.c. FANFARE_CORE_PACKAGE names the folder of the package.
 */
const { EventEmitter } = require('node:events');

const CHANNEL = 'news.weather.berlin';
const TURNS = 7;
const LEAST_MS = 1000;
const QUEUED_MAX = 100; /* messages published before they are read */

let read = 0; /* characters, so that reading cannot be left out */

function ofModule(subscribers, patterns) {
  const { Hub } = require(process.env.FANFARE_CORE_PACKAGE || '../npm/fanfare-core');
  const hub = new Hub();
  const idle = hub.subscriber();
  for (let i = 0; i < patterns; i++) idle.psubscribe(`user.${i}.*`);
  for (let i = 0; i < subscribers; i++)
    hub.subscriber({ bytes: 0 }, (message) => (read += message.payload.length)).subscribe(CHANNEL);
  return { publish: (payload) => hub.publish(CHANNEL, payload), flush: () => hub.flush() };
}

function scanned(patterns, deliver) {
  const expressions = Array.from({ length: patterns }, (_, i) => new RegExp(`^user\\.${i}\\..*$`, 's'));
  return {
    publish(payload) {
      deliver(payload);
      for (const expression of expressions) if (expression.test(CHANNEL)) read++;
    },
    flush() {},
  };
}

function ofEmitter(subscribers, patterns) {
  const emitter = new EventEmitter().setMaxListeners(0);
  for (let i = 0; i < subscribers; i++) emitter.on(CHANNEL, (payload) => (read += payload.length));
  return scanned(patterns, (payload) => emitter.emit(CHANNEL, payload));
}

function ofMap(subscribers, patterns) {
  const channels = new Map([[CHANNEL, new Set()]]);
  for (let i = 0; i < subscribers; i++) channels.get(CHANNEL).add((payload) => (read += payload.length));
  return scanned(patterns, (payload) => {
    for (const listener of channels.get(CHANNEL)) listener(payload);
  });
}

function main() {
  const way = { module: ofModule, emitter: ofEmitter, map: ofMap }[process.argv[2]];
  const [subscribers, patterns, payloadLen, messages] = process.argv.slice(3).map(Number);
  const hub = way(subscribers, patterns);
  const payload = 'x'.repeat(payloadLen);
  let best = Infinity;
  const end = Date.now() + LEAST_MS;
  for (let turn = 0; turn < TURNS || Date.now() < end; turn++) {
    const start = process.hrtime.bigint();
    for (let i = 1; i <= messages; i++) {
      hub.publish(payload);
      if (i % QUEUED_MAX === 0 || i === messages) hub.flush();
    }
    best = Math.min(best, Number(process.hrtime.bigint() - start) / messages);
  }
  if (read === 0) throw new Error('nothing was read');
  console.log(best.toFixed(1));
}

main();

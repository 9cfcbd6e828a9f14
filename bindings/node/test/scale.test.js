'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const v8 = require('node:v8');
const vm = require('node:vm');
const { newHub, until } = require('./support');

test('100 000 subscribers get a message, each once, through channel and pattern', (t) => {
  const hub = newHub(t);
  const counts = new Uint8Array(100000);
  for (let i = 0; i < counts.length; i++) {
    const subscriber = hub.subscriber(() => counts[i]++);
    if (i % 2 === 0) subscriber.subscribe('all');
    else subscriber.psubscribe('al?');
  }
  assert.equal(hub.publish('all', 'hello'), counts.length);
  hub.flush();
  assert.ok(counts.every((count) => count === 1));
  assert.equal(hub.figures.subscribers, 100000);
});

test('100 000 idle patterns do not slow a publish down', (t) => {
  const hub = newHub(t);
  const idle = hub.subscriber();
  for (let i = 0; i < 100000; i++) idle.psubscribe(`user.${i}.*`);
  const got = [];
  hub.subscriber((message) => got.push(message.payload)).subscribe('news');
  const start = process.hrtime.bigint();
  for (let i = 0; i < 10000; i++) hub.publish('news', 'x');
  hub.flush();
  const us = Number(process.hrtime.bigint() - start) / 1000;
  assert.equal(got.length, 10000);
  /* A scan of the patterns takes milliseconds for each message. */
  assert.ok(us / 10000 < 200, `${us / 10000} us for each message`);
});

test('churn of subscribers, subscriptions and messages does not grow the memory', (t) => {
  const hub = newHub(t);
  hub.setChannel('room.*', { historySize: 10, historyTtl: 60 });
  function round(n) {
    const subscribers = [];
    for (let i = 0; i < 500; i++) {
      const subscriber = hub.subscriber({ messages: 20, policy: 'drop-oldest' });
      subscriber.subscribe(`room.${n % 7}.${i % 100}`);
      subscriber.psubscribe(`room.*.${i % 100}`);
      subscribers.push(subscriber);
    }
    for (let i = 0; i < 1000; i++) hub.publish(`room.${n % 7}.${i % 100}`, `message ${i} `.repeat(1 + i % 50));
    hub.flush();
    for (const subscriber of subscribers) subscriber.close();
    hub.flush();
  }
  for (let n = 0; n < 20; n++) round(n);
  const before = hub.figures.linearMemory;
  for (let n = 0; n < 100; n++) round(n);
  const { linearMemory, subscribers, subscriptions, queuedMessages, patterns } = hub.figures;
  assert.deepEqual([subscribers, subscriptions, queuedMessages, patterns], [0, 0, 0, 0]);
  assert.ok(linearMemory <= before + (1 << 20), `${before} bytes grew to ${linearMemory}`);
});

test('a subscriber that nobody refers to is closed some time after the garbage collection', async (t) => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  const hub = newHub(t);
  let listened = 0;
  (() => {
    for (let i = 0; i < 10; i++) hub.subscriber().subscribe('lost');
    hub.subscriber(() => listened++).subscribe('kept');
  })();
  await until(() => {
    collect();
    return hub.numsub('lost') === 0;
  }, 'the lost subscribers are closed');
  assert.equal(hub.publish('kept', 'x'), 1);
  hub.flush();
  assert.equal(listened, 1);
});

test('the memory of closed hubs is returned', async () => {
  const { Hub } = require('./support');
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  let freed = 0;
  const registry = new FinalizationRegistry(() => freed++);
  for (let i = 0; i < 50; i++) {
    const hub = new Hub();
    registry.register(hub, i);
    hub.subscribe('a');
    hub.publish('a', Buffer.alloc(1 << 20));
    hub.close();
  }
  await until(() => {
    collect();
    return freed > 40;
  }, 'the hubs are collected');
});

test('subscribers, publishers and messages that lie above 2 GiB work like others', async (t) => {
  const hub = newHub(t, { blockTimeout: 60000 });
  hub._core.memory.grow(36000); /* pages of 64 KiB, which are not touched: new allocations lie behind them */
  hub.setChannel('kept', { historySize: 10, historyTtl: 60 });
  const got = [];
  const subscribers = Array.from({ length: 5000 }, (_, i) => {
    const subscriber = hub.subscriber((message) => got.push(`${message.channel} ${message.payload}`));
    subscriber.subscribe(`channel.${i}`);
    return subscriber;
  });
  assert.ok(subscribers.at(-1)._handle > 2 ** 31, String(subscribers.at(-1)._handle));
  for (let i = 0; i < subscribers.length; i++)
    assert.equal(hub.publish(`channel.${i}`, `payload ${i}`, { except: subscribers[0] }), i > 0 ? 1 : 0);
  hub.flush();
  assert.deepEqual(got, Array.from({ length: 4999 }, (_, i) => `channel.${i + 1} payload ${i + 1}`));
  const large = 'x'.repeat(50000);
  const { position } = hub.post('kept', large);
  assert.equal(hub.history('kept', { from: position })[0].payload, large);
  const slow = hub.subscriber({ policy: 'block', messages: 1 });
  slow.subscribe('slow');
  hub.publish('slow', '1');
  const waiting = hub.publishWait('slow', '2');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(slow.read().payload, '1');
  assert.equal(await waiting, 1);
  assert.equal(slow.read().payload, '2');
  for (const subscriber of subscribers) subscriber.close();
  assert.equal(hub.figures.subscribers, 1);
});

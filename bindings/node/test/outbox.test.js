'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { newHub, listen, until, numbers } = require('./support');

function publish(hub, from, to) {
  for (const payload of numbers(from, to)) hub.publish('a', payload);
}

/** A paused subscriber with room for 3 messages, and an unlimited one. */
function slow(hub, policy, more) {
  const limits = { messages: 3, policy, ...more };
  const { subscriber, got } = listen(hub, limits, 'a');
  const fast = listen(hub, {}, 'a');
  subscriber.pause();
  return { subscriber, got, fast };
}

test('disconnect ends the subscriber, which can still read what is queued', async (t) => {
  const hub = newHub(t);
  const { subscriber, got, fast } = slow(hub, 'disconnect');
  const ends = [];
  subscriber.on('end', (reason) => ends.push(reason));
  publish(hub, 1, 5);
  await until(() => ends.length === 1, 'the end');
  assert.deepEqual(ends, ['overflow']);
  assert.equal(subscriber.closed, false);
  subscriber.unpause();
  await until(() => subscriber.closed, 'closed');
  assert.deepEqual(got, ['1', '2', '3', 1]);
  assert.deepEqual(fast.got, numbers(1, 5));
  assert.equal(hub.publish('a', '6'), 1);
});

test('drop-oldest keeps the newest messages and says how many are missing', (t) => {
  const hub = newHub(t);
  const { subscriber, got, fast } = slow(hub, 'drop-oldest');
  publish(hub, 1, 10);
  assert.equal(subscriber.state.dropped, 7);
  assert.equal(subscriber.state.messages, 3);
  subscriber.unpause();
  hub.flush();
  assert.deepEqual(got, [7, '8', '9', '10']);
  assert.deepEqual(fast.got, numbers(1, 10));
});

test('drop-newest keeps the oldest messages and says how many are missing', (t) => {
  const hub = newHub(t);
  const { subscriber, got } = slow(hub, 'drop-newest');
  publish(hub, 1, 10);
  assert.equal(subscriber.state.dropped, 7);
  subscriber.unpause();
  hub.flush();
  publish(hub, 11, 11);
  hub.flush();
  assert.deepEqual(got, ['1', '2', '3', 7, '11']);
});

test('without notify messages are counted only', (t) => {
  const hub = newHub(t);
  const { subscriber, got } = slow(hub, 'drop-oldest', { notify: false });
  publish(hub, 1, 10);
  subscriber.unpause();
  hub.flush();
  assert.deepEqual(got, ['8', '9', '10']);
  assert.equal(subscriber.state.dropped, 7);
});

test('block refuses publish() and lets publishWait() wait, in order', async (t) => {
  const hub = newHub(t);
  const { subscriber, got, fast } = slow(hub, 'block');
  publish(hub, 1, 3);
  assert.throws(() => hub.publish('a', 'no'), { code: 'FANFARE_BLOCKED' });
  const delivered = [];
  const waiting = numbers(4, 9).map((payload) => hub.publishWait('a', payload).then((n) => delivered.push([payload, n])));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(delivered, []);
  assert.deepEqual(fast.got, ['1', '2', '3']);
  subscriber.unpause();
  await Promise.all(waiting);
  await until(() => got.length === 9 && fast.got.length === 9, 'all');
  assert.deepEqual(delivered, numbers(4, 9).map((payload) => [payload, 2]));
  assert.deepEqual(got, numbers(1, 9));
  assert.deepEqual(fast.got, numbers(1, 9));
});

test('a publisher that waits can be aborted, and the message is not delivered', async (t) => {
  const hub = newHub(t);
  const { subscriber, got } = slow(hub, 'block');
  publish(hub, 1, 3);
  const controller = new AbortController();
  const waiting = hub.publishWait('a', 'never', { signal: controller.signal });
  controller.abort();
  await assert.rejects(waiting, { name: 'AbortError' });
  subscriber.unpause();
  hub.flush();
  publish(hub, 4, 4);
  await until(() => got.length === 4, 'the fourth');
  assert.deepEqual(got, numbers(1, 4));
});

test('a subscriber for which publishers wait too long is ended, and they go on', async (t) => {
  const hub = newHub(t, { blockTimeout: 30 });
  const { subscriber, fast } = slow(hub, 'block');
  const ends = [];
  subscriber.on('end', (reason) => ends.push(reason));
  publish(hub, 1, 3);
  assert.equal(await hub.publishWait('a', '4'), 1);
  await until(() => fast.got.length === 4, 'the fourth');
  assert.deepEqual(ends, ['overflow']);
});

test('closing the subscriber that blocks lets publishers go on', async (t) => {
  const hub = newHub(t);
  const { subscriber } = slow(hub, 'block');
  publish(hub, 1, 3);
  const waiting = hub.publishWait('a', '4');
  subscriber.close();
  assert.equal(await waiting, 1);
});

test('catch-up gets from the history what did not fit', async (t) => {
  const hub = newHub(t);
  hub.setChannel('a', { historySize: 1000, historyTtl: 60 });
  const { subscriber, got } = slow(hub, 'catch-up');
  publish(hub, 1, 500);
  assert.equal(subscriber.state.messages, 3);
  assert.ok(subscriber.state.behind > 0);
  subscriber.unpause();
  await until(() => got.length === 500, 'all of them');
  assert.deepEqual(got, numbers(1, 500));
  publish(hub, 501, 501);
  await until(() => got.length === 501, 'a new one');
});

test('catch-up beyond the history marks what is missing', async (t) => {
  const hub = newHub(t);
  hub.setChannel('a', { historySize: 10, historyTtl: 60 });
  const { subscriber, got } = slow(hub, 'catch-up');
  publish(hub, 1, 100);
  subscriber.unpause();
  await until(() => got.at(-1) === '100', 'the last');
  const missed = got.filter((item) => typeof item === 'number').reduce((a, b) => a + b, 0);
  assert.equal(missed + got.filter((item) => typeof item === 'string').length, 100);
  assert.deepEqual(got.slice(-10), numbers(91, 100));
});

test('a channel has a policy of its own', (t) => {
  const hub = newHub(t);
  hub.setChannel('a', { outboxPolicy: 'drop-oldest' });
  const { subscriber, got } = slow(hub, 'disconnect');
  publish(hub, 1, 5);
  subscriber.unpause();
  hub.flush();
  assert.deepEqual(got, [2, '3', '4', '5']);
});

test('limits may change', (t) => {
  const hub = newHub(t);
  const { subscriber, got } = slow(hub, 'drop-newest');
  publish(hub, 1, 5);
  subscriber.setLimits({ messages: 6 });
  assert.equal(subscriber.limits.policy, 'drop-newest');
  publish(hub, 6, 10);
  subscriber.unpause();
  hub.flush();
  assert.deepEqual(got, ['1', '2', '3', 2, '6', '7', '8', 2]);
});

test('a paused subscriber keeps the order of what was read already', async (t) => {
  const hub = newHub(t);
  const got = [];
  const subscriber = hub.subscriber((message) => {
    got.push(message.payload);
    subscriber.pause();
  });
  subscriber.subscribe('a');
  publish(hub, 1, 200);
  for (let i = 1; i <= 100; i++) {
    await until(() => got.length === i, `message ${i}`);
    if (i < 100) subscriber.unpause();
  }
  const rest = [];
  for (let message; (message = subscriber.read()) !== null;) rest.push(message.payload);
  assert.deepEqual(got.concat(rest), numbers(1, 200));
});

test('memoryMax refuses messages until some are read', async (t) => {
  const hub = newHub(t, { memoryMax: 200000 });
  const subscriber = hub.subscriber({ bytes: 0 });
  subscriber.subscribe('a');
  let count = 0;
  assert.throws(() => { for (;; count++) hub.publish('a', Buffer.alloc(10000)); }, { code: 'FANFARE_FULL' });
  assert.ok(count >= 10 && count < 20, String(count));
  const waiting = hub.publishWait('a', 'small enough');
  while (subscriber.read()?.payload !== 'small enough') await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await waiting, 1);
});

'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { newHub, until, numbers } = require('./support');

const aTurn = () => new Promise((resolve) => setImmediate(resolve));

function readAll(subscriber) {
  const got = [];
  for (let message; (message = subscriber.read()) !== null;) got.push(message.payload);
  return got;
}

function publish(hub, from, to) {
  for (const payload of numbers(from, to)) hub.publish('a', payload);
}

test('read() in a listener gets the messages in their order', async (t) => {
  const hub = newHub(t);
  const subscriber = hub.subscriber();
  subscriber.subscribe('a');
  const other = [];
  hub.subscriber((message) => other.push(message.payload)).subscribe('a');
  const got = [];
  subscriber.once('message', (message) => got.push(message.payload, ...readAll(subscriber)));
  publish(hub, 1, 2000);
  await until(() => got.length > 0 && other.length === 2000, 'the messages');
  assert.deepEqual(got.concat(readAll(subscriber)), numbers(1, 2000));
  assert.deepEqual(other, numbers(1, 2000));
});

test('a listener that reads one message each time, paused or not, gets them in their order', async (t) => {
  for (const pauses of [false, true]) {
    const hub = newHub(t);
    const got = [];
    const subscriber = hub.subscriber((message) => {
      got.push(message.payload);
      if (pauses) subscriber.pause();
      const next = subscriber.read();
      if (next !== null) got.push(next.payload);
      if (pauses) subscriber.unpause();
    });
    subscriber.subscribe('a');
    publish(hub, 1, 2000);
    await until(() => got.length === 2000, 'all messages');
    assert.deepEqual(got, numbers(1, 2000));
  }
});

test('a mark of missing messages stays in its place when a listener reads', async (t) => {
  const hub = newHub(t);
  const got = [];
  const subscriber = hub.subscriber({ messages: 5, policy: 'drop-newest' });
  subscriber.on('missed', (count) => got.push(count));
  subscriber.subscribe('a');
  publish(hub, 1, 8);
  subscriber.once('message', (message) => {
    got.push(message.payload);
    for (let next; (next = subscriber.read()) !== null;) got.push(next.payload);
  });
  await until(() => got.length === 6, 'all');
  assert.deepEqual(got, ['1', '2', '3', '4', '5', 3]);
});

test('a subscriber that pauses in a listener keeps at most the rest of a batch', (t) => {
  const hub = newHub(t);
  const subscriber = hub.subscriber(() => subscriber.pause());
  subscriber.subscribe('a');
  for (let i = 0; i < 5000; i++) hub.publish('a', '');
  hub.flush();
  assert.ok(subscriber.state.messages >= 5000 - 1100, `${subscriber.state.messages} messages are left in the outbox`);
  assert.equal(readAll(subscriber).length, 4999);
});

test('a subscriber calls its listener and those of the event', (t) => {
  const hub = newHub(t);
  const got = [];
  const subscriber = hub.subscriber((message) => got.push(`listener ${message.payload}`));
  subscriber.on('message', (message) => got.push(`event ${message.payload}`));
  subscriber.subscribe('a');
  publish(hub, 1, 2);
  hub.flush();
  assert.deepEqual(got, ['listener 1', 'event 1', 'listener 2', 'event 2']);
});

test('messages of the hub itself wait for a listener', async (t) => {
  const hub = newHub(t);
  let readable = 0;
  hub.on('readable', () => readable++);
  hub.subscribe('a');
  publish(hub, 1, 3);
  await aTurn();
  assert.equal(readable, 1);
  const got = [];
  const listener = (message) => got.push(message.payload);
  hub.once('message', listener);
  await until(() => got.length === 1, 'the first message');
  await aTurn();
  assert.deepEqual(got, ['1']);
  hub.on('message', listener);
  await until(() => got.length === 3, 'the others');
  hub.off('message', listener);
  publish(hub, 4, 5);
  await aTurn();
  assert.deepEqual(got, ['1', '2', '3']);
  assert.deepEqual(readAll(hub.own), ['4', '5']);
});

test('read() gives null when a listener of missed messages closes the hub', async (t) => {
  const hub = newHub(t);
  const subscriber = hub.subscriber({ messages: 2, policy: 'drop-oldest' });
  let missed = 0;
  subscriber.on('missed', () => {
    missed++;
    hub.close();
  });
  subscriber.subscribe('q');
  subscriber.on('message', () => {});
  /* The mark is in the same batch, and is held for the paused subscriber. */
  hub.subscriber(() => subscriber.pause()).subscribe('first');
  hub.publish('first', '');
  for (const payload of numbers(1, 5)) hub.publish('q', payload);
  await aTurn();
  assert.equal(subscriber.read(), null);
  assert.equal(missed, 1);
});

'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { newHub, listen, until } = require('./support');

const GLOBS = process.env.FANFARE_GLOBS || path.join(__dirname, '../../../src/base/testing_glob.def');

/** A C string literal of the table as bytes. */
function bytesOf(literal) {
  const text = literal.slice(1, -1).replace(/\\([0-7]{3}|\\)/g, (_, escape) =>
    escape === '\\' ? '\\' : String.fromCharCode(parseInt(escape, 8)));
  return Buffer.from(text, 'latin1');
}

function rowsOfGlobs() {
  const row = /^GLOB\(("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*"), (true|false)\)$/;
  const lines = fs.readFileSync(GLOBS, 'latin1').split('\n').filter((line) => line.startsWith('GLOB("'));
  return lines.map((line) => {
    const [, pattern, text, matches] = row.exec(line);
    return { line, pattern: bytesOf(pattern), text: bytesOf(text), matches: matches === 'true' };
  });
}

test('patterns match as the table of globs of the daemon says', (t) => {
  const hub = newHub(t);
  const rows = rowsOfGlobs();
  assert.ok(rows.length > 50);
  for (const { line, pattern, text, matches } of rows) {
    const subscriber = hub.subscriber();
    subscriber.psubscribe(pattern);
    assert.equal(hub.publish(text, 'x'), matches ? 1 : 0, line);
    const message = subscriber.read();
    assert.equal(message !== null, matches, line);
    if (message !== null) assert.deepEqual([message.patternBytes, message.channelBytes], [pattern, text], line);
    subscriber.close();
  }
});

test('a message has channel, pattern, payload and no position', async (t) => {
  const hub = newHub(t);
  const got = [];
  const subscriber = hub.subscriber((message) => got.push(message.toJSON()));
  subscriber.subscribe('news.tech');
  subscriber.psubscribe('news.*');
  assert.equal(hub.publish('news.tech', 'grüße 🎉'), 2);
  assert.deepEqual(got, []); /* never from within publish() */
  await until(() => got.length === 2, 'both copies');
  assert.deepEqual(got, [
    { channel: 'news.tech', pattern: undefined, payload: 'grüße 🎉', position: undefined },
    { channel: 'news.tech', pattern: 'news.*', payload: 'grüße 🎉', position: undefined },
  ]);
});

test('a subscriber with dedup gets one copy', (t) => {
  const hub = newHub(t);
  const { subscriber, got } = listen(hub, { dedup: true }, 'a');
  subscriber.psubscribe('*');
  hub.publish('a', '1');
  hub.flush();
  assert.deepEqual(got, ['1']);
});

test('payloads of all bytes and lengths arrive as they were sent', (t) => {
  const hub = newHub(t);
  const subscriber = hub.subscriber({ bytes: 0 });
  subscriber.subscribe('bin');
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  for (const payload of [all, Buffer.alloc(0), Buffer.alloc(70000, 7), Buffer.alloc(5 << 20, 'x')]) {
    assert.equal(hub.publish('bin', payload), 1);
    assert.ok(subscriber.read().payloadBytes.equals(payload), `${payload.length} bytes`);
  }
  for (const text of ['', 'ä'.repeat(47), 'x'.repeat(100000), '\0', '€'.repeat(30000)]) {
    hub.publish('bin', text);
    assert.equal(subscriber.read().payload, text);
  }
});

test('messages stay valid while later ones are published', (t) => {
  const hub = newHub(t);
  const kept = [];
  hub.subscriber((message) => kept.push(message)).subscribe('a');
  for (let i = 0; i < 5000; i++) {
    hub.publish('a', `payload ${i}`);
    if (i % 7 === 0) hub.flush();
  }
  hub.flush();
  assert.equal(kept.length, 5000);
  kept.forEach((message, i) => assert.equal(message.payload, `payload ${i}`));
});

test('subscribing and unsubscribing say whether something changed', (t) => {
  const hub = newHub(t);
  const { subscriber } = listen(hub);
  assert.equal(subscriber.subscribe('a'), true);
  assert.equal(subscriber.subscribe('a'), false);
  assert.equal(subscriber.psubscribe('a'), true);
  assert.equal(subscriber.unsubscribe('a'), true);
  assert.equal(subscriber.unsubscribe('a'), false);
  assert.equal(hub.publish('a', 'x'), 1);
  assert.equal(subscriber.punsubscribe('a'), true);
  assert.equal(subscriber.punsubscribe('a'), false);
  subscriber.subscribe('b');
  subscriber.psubscribe('c*');
  assert.equal(subscriber.unsubscribeAll(), 2);
  assert.equal(subscriber.state.subscriptions, 0);
});

test('except leaves out one subscriber', (t) => {
  const hub = newHub(t);
  const a = listen(hub, {}, 'room'), b = listen(hub, {}, 'room');
  assert.equal(hub.publish('room', 'hi', { except: a.subscriber }), 1);
  hub.flush();
  assert.deepEqual([a.got, b.got], [[], ['hi']]);
});

test('the hub itself subscribes and emits', async (t) => {
  const hub = newHub(t);
  const got = [];
  hub.on('message', (message) => got.push([message.pattern, message.payload]));
  hub.subscribe('a');
  hub.psubscribe('a*');
  hub.publish('a', '1');
  await until(() => got.length === 2, 'both');
  assert.deepEqual(got, [[undefined, '1'], ['a*', '1']]);
  hub.unsubscribe('a');
  hub.punsubscribe('a*');
  assert.equal(hub.publish('a', '2'), 0);
});

test('listeners may publish, subscribe, close others and read history', (t) => {
  const hub = newHub(t);
  hub.setChannel('kept', { historySize: 5, historyTtl: 60 });
  hub.publish('kept', 'old');
  const order = [];
  const victim = hub.subscriber(() => order.push('victim'));
  const first = hub.subscriber((message) => {
    order.push(message.payload);
    if (message.payload !== 'go') return;
    assert.equal(hub.history('kept')[0].payload, 'old');
    victim.close();
    const newcomer = hub.subscriber((m) => order.push(`newcomer ${m.payload}`));
    newcomer.subscribe('a');
    hub.publish('a', 'second');
    hub.flush(); /* does nothing here */
  });
  first.subscribe('a');
  victim.subscribe('a');
  hub.publish('a', 'go');
  hub.flush();
  assert.deepEqual(order, ['go', 'second', 'newcomer second']);
});

test('an error of a listener does not lose messages of others', async (t) => {
  const hub = newHub(t);
  const failing = hub.subscriber(() => { throw new Error('listener'); });
  failing.subscribe('a');
  const { got } = listen(hub, {}, 'a');
  hub.publish('a', '1');
  assert.throws(() => hub.flush(), /listener/);
  failing.close();
  hub.publish('a', '2');
  await until(() => got.length === 2, 'both messages');
  assert.deepEqual(got, ['1', '2']);
});

test('a subscriber is an async iterable that ends when it is closed', async (t) => {
  const hub = newHub(t);
  const subscriber = hub.subscriber();
  subscriber.subscribe('a');
  const got = [];
  const done = (async () => {
    for await (const message of subscriber) {
      got.push(message.payload);
      if (message.payload === 'last') break;
    }
  })();
  for (const payload of ['1', '2', '3']) {
    hub.publish('a', payload);
    await until(() => got.includes(payload), payload);
  }
  hub.publish('a', 'last');
  await done;
  const waiting = (async () => { for await (const message of subscriber) got.push(message.payload); })();
  subscriber.close();
  await waiting;
  assert.deepEqual(got, ['1', '2', '3', 'last']);
});

test('a listener that is added later gets what is queued, and removing it stops the flow', async (t) => {
  const hub = newHub(t);
  const subscriber = hub.subscriber();
  subscriber.subscribe('a');
  const got = [];
  let readable = 0;
  subscriber.on('readable', () => readable++);
  hub.publish('a', '1');
  hub.publish('a', '2');
  await until(() => readable === 1, 'readable');
  const listener = (message) => got.push(message.payload);
  subscriber.on('message', listener);
  await until(() => got.length === 2, 'both');
  subscriber.off('message', listener);
  hub.publish('a', '3');
  hub.flush();
  assert.deepEqual(got, ['1', '2']);
  assert.equal(subscriber.read().payload, '3');
  assert.equal(subscriber.read(), null);
});

'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const v8 = require('node:v8');
const vm = require('node:vm');
const { newHub, until, Hub } = require('./support');

const PACKAGE = process.env.FANFARE_CORE_PACKAGE || path.join(__dirname, '..');
const payload = 'x'.repeat(1000);

const aTurn = () => new Promise((resolve) => setImmediate(resolve));

/** A hub whose memoryMax is reached, and the subscriber whose outbox is full. */
function fullHub(t) {
  const hub = newHub(t, { memoryMax: 100000 });
  const subscriber = hub.subscriber({ messages: 0, bytes: 0 });
  subscriber.subscribe('a');
  assert.throws(() => { for (;;) hub.publish('a', payload); }, { code: 'FANFARE_FULL' });
  return { hub, subscriber };
}

/** A hub with a subscriber that blocks publishers. */
function blockedHub(t, options) {
  const hub = newHub(t, options);
  const subscriber = hub.subscriber({ policy: 'block', messages: 1 });
  subscriber.subscribe('a');
  hub.publish('a', '1');
  return { hub, subscriber };
}

/** Counts the calls of one function of the module. */
function countCalls(hub, name) {
  const core = hub._core, f = core.f;
  const counter = { calls: 0 };
  core.f = { ...f, [name]: (...args) => (counter.calls++, f[name](...args)) };
  return counter;
}

/** Runs a program that has Hub, and resolves with what it printed. */
async function run(program) {
  const child = spawn(process.execPath, ['-e', `const { Hub } = require(${JSON.stringify(PACKAGE)}); ${program}`],
    { stdio: ['ignore', 'pipe', 'inherit'], timeout: 20000 });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  await new Promise((resolve) => child.on('close', resolve));
  return output;
}

test('a publisher that waits because of memoryMax does not keep the process busy', async (t) => {
  const { hub, subscriber } = fullHub(t);
  const waiting = hub.publishWait('a', payload);
  await aTurn();
  const posts = countCalls(hub, 'host_post');
  for (let i = 0; i < 200; i++) await aTurn();
  assert.ok(posts.calls < 50, `${posts.calls} calls`);
  while (subscriber.read() !== null);
  assert.equal(await waiting, 1);
});

test('flush() returns although a publisher waits because of memoryMax', async () => {
  const output = await run(`
    const hub = new Hub({ memoryMax: 100000 });
    const subscriber = hub.subscriber({ messages: 0, bytes: 0 });
    subscriber.subscribe('a');
    try { for (;;) hub.publish('a', 'x'.repeat(1000)); } catch {}
    hub.publishWait('a', 'x'.repeat(1000)).then((n) => console.log('published', n));
    hub.flush();
    console.log('flushed');
    while (subscriber.read() !== null);
  `);
  assert.equal(output, 'flushed\npublished 1\n');
});

test('a publisher that waits because of memoryMax goes on when nobody is to get its message any more', async (t) => {
  const { hub, subscriber } = fullHub(t);
  const waiting = hub.publishWait('a', payload);
  await aTurn();
  subscriber.unsubscribe('a');
  assert.equal(await waiting, 0);
});

test('messages that are larger than their turn of copying are published by publishWait()', async (t) => {
  const hub = newHub(t);
  const subscriber = hub.subscriber({ bytes: 0 });
  subscriber.subscribe('a');
  const large = Buffer.alloc(20 << 20, 7);
  assert.equal(await hub.publishWait('a', large), 1);
  assert.ok(subscriber.read().payloadBytes.equals(large));
});

test('publishers that are blocked are not tried again by unrelated messages', async (t) => {
  const { hub, subscriber } = blockedHub(t);
  const waiting = Array.from({ length: 100 }, () => hub.publishWait('a', 'y'));
  await aTurn();
  const posts = countCalls(hub, 'host_post');
  for (let i = 0; i < 10; i++) {
    hub.publish('other', 'x');
    await aTurn();
  }
  assert.equal(posts.calls, 10);
  subscriber.on('message', () => {});
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set([1]));
});

test('a process lives until blockTimeout has settled its publishers', async () => {
  const output = await run(`
    const hub = new Hub({ blockTimeout: 500 });
    const subscriber = hub.subscriber({ policy: 'block', messages: 1 });
    subscriber.subscribe('a');
    hub.publish('a', '1');
    /* By then the hub has a timer for its own work, which does not keep the process alive. */
    setImmediate(() => setImmediate(() => hub.publishWait('a', '2').then((n) => console.log('settled', n))));
  `);
  assert.equal(output, 'settled 0\n');
});

test('a process ends when its publishers are settled, whatever the timers of the hub', async () => {
  const output = await run(`
    const hub = new Hub({ blockTimeout: 600000 });
    const subscriber = hub.subscriber({ policy: 'block', messages: 1 });
    subscriber.subscribe('a');
    hub.publish('a', '1');
    hub.publishWait('a', '2').then((n) => console.log('settled', n));
    setTimeout(() => subscriber.read(), 500);
  `);
  assert.equal(output, 'settled 1\n');
});

test('blockTimeout begins when the publisher waits, not when the running code began', async (t) => {
  const { hub, subscriber } = blockedHub(t, { blockTimeout: 300 });
  const ends = [];
  subscriber.on('end', () => ends.push(performance.now()));
  for (const end = performance.now() + 400; performance.now() < end;);
  const start = performance.now();
  await hub.publishWait('a', '2');
  assert.ok(performance.now() - start > 250, `${performance.now() - start} ms`);
});

test('the history does not give what expired while the code ran', (t) => {
  const hub = newHub(t);
  hub.setChannel('kept', { historySize: 5, historyTtl: 1 });
  hub.publish('kept', 'x');
  for (const end = performance.now() + 1200; performance.now() < end;);
  assert.deepEqual(hub.history('kept'), []);
});

test('arguments that publishWait() refuses need no memory of the hub', async (t) => {
  const hub = newHub(t);
  const before = hub.figures.linearMemory;
  const made = countCalls(hub, 'host_publisher_new');
  for (let i = 0; i < 100; i++) {
    await assert.rejects(hub.publishWait(5, 'x'), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(hub.publishWait('x', {}), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  assert.equal(made.calls, 0);
  assert.equal(hub.figures.linearMemory, before);
});

test('the timer of a hub with history does not keep the hub', async () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  let collected = false;
  const registry = new FinalizationRegistry(() => (collected = true));
  await (async () => {
    const hub = new Hub();
    registry.register(hub, 0);
    hub.setChannel('kept', { historySize: 5, historyTtl: 3600 });
    hub.publish('kept', 'x');
    await aTurn();
    await aTurn();
  })();
  await until(() => {
    collect();
    return collected;
  }, 'the hub is collected');
});

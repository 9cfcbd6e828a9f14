'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { newHub, listen, until, numbers } = require('./support');

const payloads = (messages) => messages.map((message) => message.payload);

function keptHub(t, options) {
  const hub = newHub(t, options);
  hub.setChannel('kept.*', { historySize: 100, historyTtl: 60 });
  return hub;
}

test('the history gives the last messages and those between two positions', (t) => {
  const hub = keptHub(t);
  const positions = numbers(1, 10).map((payload) => hub.post('kept.a', payload).position);
  assert.match(positions[0], /^\d+-\d+$/);
  assert.deepEqual(payloads(hub.history('kept.a')), numbers(1, 10));
  assert.deepEqual(payloads(hub.history('kept.a', { last: 3 })), numbers(8, 10));
  assert.deepEqual(payloads(hub.history('kept.a', { from: positions[2], to: positions[5] })), numbers(3, 6));
  assert.deepEqual(payloads(hub.history('kept.a', { from: positions[2], limit: 2 })), numbers(3, 4));
  assert.deepEqual(payloads(hub.history('kept.a', { limit: 2 })), numbers(1, 2));
  assert.throws(() => hub.history('kept.a', { last: 2, limit: 2 }), { code: 'ERR_OUT_OF_RANGE' });
  assert.deepEqual(hub.history('kept.a').map((message) => message.position), positions);
  assert.deepEqual(hub.history('kept.none'), []);
  assert.deepEqual(hub.history('other'), []);
  assert.equal(hub.deleteHistory('kept.a'), 10);
  assert.deepEqual(hub.history('kept.a'), []);
});

test('a subscriber resumes exactly where it was', async (t) => {
  const hub = keptHub(t);
  const first = hub.subscriber();
  first.subscribe('kept.a');
  for (const payload of numbers(1, 5)) hub.publish('kept.a', payload);
  first.read();
  const { position } = first.read();
  first.close();
  for (const payload of numbers(6, 20)) hub.publish('kept.a', payload);
  const { subscriber, got } = listen(hub);
  const resumption = subscriber.resume('kept.a', position);
  assert.deepEqual(resumption, { verdict: 'resumed', count: 18, position });
  for (const payload of numbers(21, 25)) hub.publish('kept.a', payload);
  await until(() => got.length === 23, 'all');
  assert.deepEqual(got, numbers(3, 25));
});

test('a pattern resumes with the messages of all its channels in their order', async (t) => {
  const hub = keptHub(t);
  const start = hub.post('kept.a', 'before').position;
  for (const payload of numbers(1, 30)) hub.publish(`kept.${payload % 3}`, payload);
  const { subscriber, got } = listen(hub);
  assert.equal(subscriber.presume('kept.*', start).verdict, 'resumed');
  hub.publish('kept.9', '31');
  await until(() => got.length === 31, 'all');
  assert.deepEqual(got, numbers(1, 31));
});

test('since may be everything kept, only new messages, or the last ones', async (t) => {
  const hub = keptHub(t);
  for (const payload of numbers(1, 5)) hub.publish('kept.a', payload);
  const all = listen(hub), fresh = listen(hub), last = listen(hub);
  assert.equal(all.subscriber.resume('kept.a', '0').count, 5);
  assert.equal(fresh.subscriber.resume('kept.a', '$').count, 0);
  assert.deepEqual(last.subscriber.resume('kept.a', '-2').verdict, 'new');
  hub.publish('kept.a', '6');
  await until(() => all.got.length === 6 && last.got.length === 3 && fresh.got.length === 1, 'all');
  assert.deepEqual([all.got, fresh.got, last.got], [numbers(1, 6), ['6'], numbers(4, 6)]);
});

test('a position that is lost, of another hub, or of a channel without history is said to be so', (t) => {
  const hub = keptHub(t);
  const old = hub.post('kept.a', 'old').position;
  for (const payload of numbers(1, 150)) hub.publish('kept.a', payload);
  assert.equal(hub.subscriber().resume('kept.a', old).verdict, 'lost');
  assert.equal(hub.subscriber().resume('kept.a', '1-1').verdict, 'lost');
  assert.equal(hub.subscriber().resume('plain', '$').verdict, 'no-history');
  const subscriber = hub.subscriber();
  subscriber.subscribe('kept.a');
  assert.throws(() => subscriber.resume('kept.a', old), { code: 'FANFARE_ALREADY' });
  for (const since of ['', 'x', '1', '1-', '--1', '1-2-3', '-', '0'.repeat(65)])
    assert.throws(() => hub.subscriber().resume('kept.b', since), { code: 'FANFARE_INVALID' }, since);
});

test('kept messages expire', async (t) => {
  const hub = newHub(t);
  hub.setChannel('short', { historySize: 10, historyTtl: 1 });
  hub.publish('short', 'x');
  assert.equal(hub.history('short').length, 1);
  await until(() => hub.history('short').length === 0, 'expired');
});

test('historyMax bounds the kept messages', (t) => {
  const hub = newHub(t, { historyMax: 1 << 20 });
  hub.setChannel('*', 'history-size 1000 history-ttl 60 history-bytes 10mb');
  for (let i = 0; i < 5000; i++) hub.publish(`c${i % 50}`, Buffer.alloc(1000));
  assert.ok(hub.figures.keptBytes <= (1 << 20) + 65536, String(hub.figures.keptBytes));
  assert.ok(hub.figures.evicted > 3000);
});

test('replay and the options of a channel may change', async (t) => {
  const hub = keptHub(t);
  hub.setChannel('kept.*', { replay: 2 });
  for (const payload of numbers(1, 5)) hub.publish('kept.a', payload);
  const { got } = listen(hub, {}, 'kept.a');
  await until(() => got.length === 2, 'the last two');
  assert.deepEqual(got, ['4', '5']);
  hub.unsetChannel('kept.*', 'replay');
  const later = listen(hub, {}, 'kept.a');
  hub.publish('kept.a', '6');
  await until(() => later.got.length === 1, 'the new one');
  hub.unsetChannel('kept.*');
  hub.publish('kept.a', '7');
  hub.flush();
  assert.deepEqual(hub.history('kept.a'), []);
});

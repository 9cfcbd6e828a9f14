'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { newHub, listen, Hub, FanfareError } = require('./support');

const RANGE = { code: 'ERR_OUT_OF_RANGE' }, TYPE = { code: 'ERR_INVALID_ARG_TYPE' };

test('names of 65535 bytes are allowed and longer ones are not', (t) => {
  const hub = newHub(t);
  const subscriber = hub.subscriber();
  for (const name of ['x'.repeat(65535), Buffer.alloc(65535, 7), 'é'.repeat(32767)]) {
    assert.equal(subscriber.subscribe(name), true);
    assert.equal(subscriber.psubscribe(name), true);
    assert.equal(hub.publish(name, ''), 2);
    subscriber.unsubscribeAll();
  }
  for (const name of ['x'.repeat(65536), Buffer.alloc(65536), 'é'.repeat(32768), 'x'.repeat(10 << 20)])
    for (const call of [() => subscriber.subscribe(name), () => subscriber.psubscribe(name), () => hub.publish(name, ''),
      () => subscriber.unsubscribe(name), () => hub.setChannel(name, {}), () => hub.history(name), () => hub.numsub(name)])
      assert.throws(call, { code: 'FANFARE_NAME_TOO_LONG' });
});

test('nameMax and messageMax bound names and payloads', (t) => {
  const hub = newHub(t, { nameMax: 4, messageMax: 10 });
  const subscriber = hub.subscriber();
  subscriber.subscribe('abcd');
  assert.throws(() => subscriber.subscribe('abcde'), { code: 'FANFARE_NAME_TOO_LONG' });
  assert.equal(hub.publish('abcd', 'x'.repeat(10)), 1);
  assert.throws(() => hub.publish('abcd', 'x'.repeat(11)), { code: 'FANFARE_TOO_LARGE' });
  assert.throws(() => hub.publish('abcd', 'é'.repeat(6)), { code: 'FANFARE_TOO_LARGE' });
});

test('the empty name, NUL, and bytes that are not UTF-8 are names like others', (t) => {
  const hub = newHub(t);
  for (const name of ['', '\0', 'a\0b', Buffer.from([0xff, 0xfe]), Buffer.from([0xc3])]) {
    const subscriber = hub.subscriber();
    assert.equal(subscriber.subscribe(name), true);
    assert.equal(hub.publish(name, name), 1);
    const message = subscriber.read();
    assert.deepEqual(message.channelBytes, Buffer.from(name));
    assert.deepEqual(message.payloadBytes, Buffer.from(name));
    assert.equal(typeof message.channel, 'string');
    subscriber.close();
  }
});

test('a string with a lone surrogate is refused', (t) => {
  const hub = newHub(t);
  assert.throws(() => hub.publish('a\ud800', 'x'), TYPE);
  assert.throws(() => hub.publish('a', '\udc00x'), TYPE);
  assert.throws(() => hub.subscribe('x'.repeat(100) + '\ud800'), TYPE);
});

test('values of other types are refused', (t) => {
  const hub = newHub(t);
  const subscriber = hub.subscriber();
  for (const value of [undefined, null, 1, {}, [], true, Symbol('x'), 1n, new ArrayBuffer(2), new Uint16Array(2), () => {}]) {
    assert.throws(() => subscriber.subscribe(value), TYPE);
    assert.throws(() => subscriber.punsubscribe(value), TYPE);
    assert.throws(() => hub.publish(value, 'x'), TYPE);
    assert.throws(() => hub.publish('x', value), TYPE);
    if (typeof value !== 'function' && value !== undefined)
      assert.throws(() => hub.subscriber({}, value), TYPE);
  }
  assert.throws(() => hub.publish('x', 'y', { except: {} }), TYPE);
  assert.throws(() => hub.publish('x', 'y', { except: new Hub().subscriber() }), TYPE);
  assert.throws(() => subscriber.resume('x', 5), TYPE);
  assert.throws(() => hub.setChannel('x', 5), TYPE);
});

test('promises are rejected for what publish() throws', async (t) => {
  const hub = newHub(t);
  await assert.rejects(hub.publishWait(5, 'x'), TypeError);
  await assert.rejects(hub.publishWait('x', '\ud800'), TYPE);
  await assert.rejects(hub.publishWait('x', 'y', { signal: {} }), TYPE);
  await assert.rejects(hub.publishWait('x', 'y', { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('numbers outside of their range are refused', (t) => {
  const hub = newHub(t);
  for (const value of [-1, 1.5, NaN, Infinity, 2 ** 32, 2 ** 60, -(2 ** 40)]) {
    assert.throws(() => hub.subscriber({ bytes: value }), RANGE);
    assert.throws(() => hub.subscriber({ messages: value }), RANGE);
    assert.throws(() => hub.history('x', { last: value }), RANGE);
    for (const name of ['subscriptionsMax', 'subscribersMax', 'nameMax', 'messageMax', 'memoryMax', 'historyMax'])
      assert.throws(() => new Hub({ [name]: value }), RANGE, name);
  }
  assert.throws(() => new Hub({ nameMax: 0 }), RANGE);
  assert.throws(() => new Hub({ nameMax: 65536 }), RANGE);
  assert.throws(() => new Hub({ epoch: 0 }), RANGE);
  assert.throws(() => new Hub({ nameMax: '4' }), TYPE);
  assert.throws(() => new Hub({ nmeMax: 4 }), RANGE);
  assert.throws(() => new Hub(null), TYPE);
  assert.throws(() => new Hub({ module: {} }), TYPE);
  assert.throws(() => hub.subscriber({ policy: 'none' }), RANGE);
  assert.throws(() => hub.subscriber({ policy: 3 }), TYPE);
  assert.throws(() => hub.subscriber({ notify: 1 }), TYPE);
  const { subscriber, got } = listen(hub, { bytes: 2 ** 32 - 1, messages: 2 ** 32 - 1 }, 'a');
  hub.publish('a', 'works');
  hub.flush();
  assert.deepEqual([subscriber.limits.messages, got], [2 ** 32 - 1, ['works']]);
});

test('options of channels are refused with a reason', (t) => {
  const hub = newHub(t);
  for (const [options, reason] of [
    [{ historySize: -1, historyTtl: 5 }, /history-size/],
    [{ historySize: 1e9, historyTtl: 5 }, /history-size/],
    [{ outboxPolicy: 'sometimes' }, /outbox-policy/],
    [{ colour: 'red' }, /colour/],
    ['history-size', /history-size/],
    [{ maxMessage: 'x'.repeat(70000) }, /./],
  ])
    assert.throws(() => hub.setChannel('x', options), (error) => {
      assert.ok(error instanceof FanfareError);
      assert.equal(error.code, 'FANFARE_INVALID');
      assert.match(error.message, reason);
      return true;
    });
});

test('an option of a channel is one word, and undefined is none', (t) => {
  const hub = newHub(t);
  for (const options of [{ maxMessage: '10 history-size 5 history-ttl 5' }, { maxMessage: '10\n' }, { maxMessage: '' },
    { 'max-message 10 history-size': 5 }, { maxMessage: '1\0' }])
    assert.throws(() => hub.setChannel('x', options), { code: 'FANFARE_INVALID', message: /one word/ });
  assert.throws(() => hub.unsetChannel('x', 'replay history-size'), { code: 'FANFARE_INVALID', message: /one word/ });
  for (const maxMessage of [null, {}, true, 5n, Symbol('x')]) assert.throws(() => hub.setChannel('x', { maxMessage }), TYPE);
  hub.setChannel('x', { maxMessage: 10, historySize: undefined });
  assert.throws(() => hub.publish('x', 'eleven char'), { code: 'FANFARE_TOO_LARGE' });
});

test('a position that is refused is named', (t) => {
  const hub = newHub(t);
  for (const since of ['zzz', '', '1'.repeat(65)])
    assert.throws(() => hub.subscriber().resume('x', since), (error) => {
      assert.equal(error.code, 'FANFARE_INVALID');
      assert.match(error.message, /since must be a position/);
      assert.ok(error.message.includes(JSON.stringify(since)));
      return true;
    });
  assert.throws(() => hub.history('x', { from: 'zzz' }), { code: 'FANFARE_INVALID', message: /positions, not "zzz"/ });
  assert.throws(() => hub.history('x', { to: '1'.repeat(65) }), { code: 'FANFARE_INVALID', message: /positions/ });
  assert.throws(() => hub.history('x', { from: 5 }), TYPE);
});

test('names that are not UTF-8 are listed as bytes', (t) => {
  const hub = newHub(t);
  const names = [Buffer.from('a'), Buffer.from('\ufffd'), Buffer.from([0xff])];
  for (const name of names) hub.subscribe(name);
  assert.deepEqual([...hub.channels({ bytes: true })], names);
  assert.deepEqual([...hub.channels()], ['a', '\ufffd', '\ufffd']);
  assert.throws(() => hub.channels({ bytes: 1 }), TYPE);
});

test('the limits of a hub are errors', (t) => {
  const hub = newHub(t, { subscriptionsMax: 2, subscribersMax: 1 });
  const a = hub.subscriber(), b = hub.subscriber();
  a.subscribe('1');
  a.psubscribe('2');
  assert.throws(() => a.subscribe('3'), { code: 'FANFARE_TOO_MANY_SUBSCRIPTIONS' });
  assert.throws(() => b.subscribe('1'), { code: 'FANFARE_TOO_MANY_SUBSCRIBERS' });
  assert.equal(a.subscribe('1'), false);
});

test('closed subscribers and hubs refuse everything and close twice', async (t) => {
  const hub = newHub(t);
  const subscriber = hub.subscriber();
  subscriber.subscribe('a');
  subscriber.close();
  subscriber.close();
  assert.equal(subscriber.closed, true);
  const CLOSED = { code: 'FANFARE_CLOSED' };
  for (const call of [() => subscriber.subscribe('a'), () => subscriber.unsubscribe('a'), () => subscriber.unsubscribeAll(),
    () => subscriber.read(), () => subscriber.state, () => subscriber.resume('a', '$'), () => subscriber.setLimits({})])
    assert.throws(call, CLOSED);
  subscriber.pause().unpause().on('message', () => {});
  assert.equal(hub.publish('a', 'x'), 0);

  const open = hub.subscriber({ policy: 'block', messages: 1 });
  open.subscribe('a');
  hub.publish('a', '1');
  const waiting = hub.publishWait('a', '2');
  hub.close();
  hub.close();
  await assert.rejects(waiting, CLOSED);
  assert.equal(open.closed, true);
  for (const call of [() => hub.publish('a', 'x'), () => hub.subscriber(), () => hub.subscribe('a'), () => hub.flush(),
    () => hub.figures, () => hub.setChannel('a', {}), () => hub.history('a'), () => [...hub.channels()], () => open.read()])
    assert.throws(call, CLOSED);
  await assert.rejects(hub.publishWait('a', 'x'), CLOSED);
});

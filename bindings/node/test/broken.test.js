'use strict';

const assert = require('node:assert/strict');
const test = require('node:test');
const { newHub } = require('./support');

const BROKEN = { name: 'FanfareError', code: 'FANFARE_BROKEN' };

const aTurn = () => new Promise((resolve) => setImmediate(resolve));

/** A hub with a subscriber that blocks publishers, which breaks at the next call of this function of the module. */
function breakAt(t, name, how) {
  const hub = newHub(t);
  const subscriber = hub.subscriber({ policy: 'block', messages: 1 });
  subscriber.subscribe('a');
  hub.publish('a', '1');
  const f = hub._core.f;
  return { hub, subscriber, break: () => (hub._core.f = { ...f, [name]: how }) };
}

const trap = () => {
  throw new WebAssembly.RuntimeError('unreachable');
};

test('after the core has failed publishers and readers get the error, and the hub is quiet', async (t) => {
  const broken = breakAt(t, 'host_numsub', trap);
  const { hub, subscriber } = broken;
  const controller = new AbortController();
  const waiting = [hub.publishWait('a', '2'), hub.publishWait('a', '3', { signal: controller.signal })];
  const idle = hub.subscriber();
  const reading = (async () => { for await (const message of idle) assert.fail(message.payload); })();
  const rejected = Promise.all([...waiting, reading].map((promise) => assert.rejects(promise, BROKEN)));
  await aTurn();
  broken.break();
  assert.throws(() => hub.numsub('a'), BROKEN);
  await rejected;
  controller.abort();
  const messages = [];
  const onTurn = hub._core.failure;
  let failures = 0;
  hub._core.failure = function () {
    failures++;
    return onTurn.call(this);
  };
  for (let i = 0; i < 20; i++) await aTurn();
  assert.equal(failures, 0, 'turns go on');
  for (const call of [() => hub.publish('a', 'x'), () => hub.post('a', 'x'), () => hub.flush(), () => hub.figures,
    () => hub.subscriber(), () => subscriber.read(), () => subscriber.state, () => subscriber.subscribe('b')])
    assert.throws(call, BROKEN);
  await assert.rejects(hub.publishWait('a', 'x'), BROKEN);
  subscriber.on('message', (message) => messages.push(message)).pause().unpause();
  await aTurn();
  subscriber.close();
  assert.equal(subscriber.closed, true);
  hub.close();
  assert.deepEqual(messages, []);
});

test('a failure in a turn is thrown once', async (t) => {
  const broken = breakAt(t, 'host_work', trap);
  const waiting = assert.rejects(broken.hub.publishWait('a', '2'), BROKEN);
  broken.break();
  assert.throws(() => broken.hub.flush(), BROKEN);
  await waiting;
  for (let i = 0; i < 5; i++) await aTurn(); /* a second one would be an uncaught exception */
});

test('the error says that the memory is used up, or what else failed', (t) => {
  const small = breakAt(t, 'host_numsub', trap);
  small.break();
  assert.throws(() => small.hub.numsub('a'), { message: /failed: unreachable \(\d+ of 4096 MiB\)/ });
  const large = breakAt(t, 'host_numsub', trap);
  large.hub._core.memory.grow(65536 - 2000); /* pages of 64 KiB, which are not touched */
  large.break();
  assert.throws(() => large.hub.numsub('a'), { message: /failed: its memory is used up \(\d+ of 4096 MiB\)/ });
});

test('after an overflow of the stack all calls say that the core has failed', (t) => {
  let overflows = 0;
  const broken = breakAt(t, 'host_post', () => {
    throw {
      /* There is no room to make an error either. */
      get message() {
        if (overflows++ === 0) throw new RangeError('Maximum call stack size exceeded');
        return 'Maximum call stack size exceeded';
      },
    };
  });
  const { hub } = broken;
  broken.break();
  assert.throws(() => hub.publish('a', 'x'), RangeError);
  assert.throws(() => hub.numsub('a'), BROKEN);
  assert.throws(() => hub.publish('a', 'x'), BROKEN);
  assert.throws(() => hub.flush(), BROKEN);
});

test('the real core is broken by an overflow of the stack, and says so', (t) => {
  const hub = newHub(t);
  hub.subscriber({ policy: 'drop-oldest', messages: 5 }).subscribe('a');
  function deeper() {
    try {
      hub.publish('a', 'x');
    } catch {
      /* deeper */
    }
    deeper();
  }
  assert.throws(deeper, RangeError);
  for (let i = 0; i < 3; i++) {
    try {
      assert.equal(hub.publish('a', 'x'), 1);
    } catch (error) {
      assert.equal(error.code, 'FANFARE_BROKEN');
    }
  }
});

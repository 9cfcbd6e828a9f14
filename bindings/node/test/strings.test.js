'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const test = require('node:test');
const { newHub } = require('./support');

const { writeString } = require(path.join(process.env.FANFARE_CORE_PACKAGE || path.join(__dirname, '..'), 'lib', 'core'));

test('strings are written whole into a memory of more than 2 GiB', () => {
  const bytes = Buffer.from(new ArrayBuffer(3 * 2 ** 30)); /* its pages are not touched, but for those written below */
  const text = 'a string of more than sixteen characters, é';
  const len = Buffer.byteLength(text);
  for (const at of [0, 1000, 2 ** 31 - 5, 2 ** 31 + 1000, 3 * 2 ** 30 - len]) {
    assert.equal(writeString(bytes, text, at, len), len);
    assert.equal(bytes.toString('utf8', at, at + len), text);
  }
  assert.throws(() => writeString(bytes, text, 0, 10), /10 bytes were written/);
});

test('a hub whose memory is larger than 2 GiB gets names and payloads whole', (t) => {
  const hub = newHub(t);
  hub._core.memory.grow(36000); /* pages of 64 KiB, which are not touched */
  assert.ok(hub.figures.linearMemory > 2 ** 31);
  const reader = hub.subscriber();
  reader.subscribe('a-long-channel-name-one');
  assert.equal(reader.subscribe('a-long-channel-name-two'), true);
  assert.equal(hub.publish('a-long-channel-name-two', 'a payload of more than sixteen characters'), 1);
  const message = reader.read();
  assert.equal(message.channel, 'a-long-channel-name-two');
  assert.equal(message.payload, 'a payload of more than sixteen characters');
});

test('a long string needs as much memory as the same bytes', (t) => {
  const of = (payload) => {
    const hub = newHub(t);
    hub.publish('a', payload);
    return hub.figures.linearMemory;
  };
  assert.ok(of('x'.repeat(32 << 20)) < of(Buffer.alloc(32 << 20)) + (1 << 20));
});

test('a long string of other characters arrives whole', (t) => {
  const hub = newHub(t);
  const reader = hub.subscriber();
  reader.subscribe('a');
  for (const text of ['é'.repeat(5000), '€'.repeat(5000), '\u{1f600}'.repeat(5000), `x${'é'.repeat(4096)}`]) {
    hub.publish('a', text);
    assert.equal(reader.read().payload, text);
  }
  assert.throws(() => hub.publish('a', '\ud800'.repeat(5000)), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('the bytes of a subclass that overrides length are all sent', (t) => {
  class Odd extends Uint8Array {
    get length() {
      return 2;
    }
  }
  const hub = newHub(t);
  const reader = hub.subscriber();
  reader.subscribe('abcd');
  const odd = new Odd([97, 98, 99, 100]);
  assert.equal(hub.publish(odd, odd), 1);
  assert.equal(reader.read().payload, 'abcd');
});

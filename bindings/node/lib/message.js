'use strict';

/* A copy of struct host_block and its bytes: see src/wasm/host.h. */
const BLOCK = 32;
const BY_NAME = 0xffffffff;
const CHANNEL_LEN = 16, PATTERN_LEN = 20, PAYLOAD_LEN = 24;

/** A message that was received. Strings are decoded when they are first read, once for all subscribers. */
class Message {
  #bytes;
  #at;
  #channel = null;
  #payload = null;

  constructor(bytes, at) {
    this.#bytes = bytes;
    this.#at = at;
  }

  #len(field) {
    const len = this.#bytes.readUInt32LE(this.#at + field);
    return len === BY_NAME ? 0 : len;
  }

  #payloadAt() {
    return this.#at + BLOCK + this.#len(CHANNEL_LEN) + this.#len(PATTERN_LEN);
  }

  get channel() {
    if (this.#channel === null) {
      const at = this.#at + BLOCK;
      this.#channel = this.#bytes.toString('utf8', at, at + this.#len(CHANNEL_LEN));
    }
    return this.#channel;
  }

  /** The pattern through which it was received; undefined: the subscriber named the channel. */
  get pattern() {
    return this.patternBytes?.toString('utf8');
  }

  get payload() {
    if (this.#payload === null) {
      const at = this.#payloadAt();
      this.#payload = this.#bytes.toString('utf8', at, at + this.#len(PAYLOAD_LEN));
    }
    return this.#payload;
  }

  get channelBytes() {
    const at = this.#at + BLOCK;
    return this.#bytes.subarray(at, at + this.#len(CHANNEL_LEN));
  }

  get patternBytes() {
    if (this.#bytes.readUInt32LE(this.#at + PATTERN_LEN) === BY_NAME) return undefined;
    const end = this.#payloadAt();
    return this.#bytes.subarray(end - this.#len(PATTERN_LEN), end);
  }

  /** No copy: all subscribers get these bytes. */
  get payloadBytes() {
    const at = this.#payloadAt();
    return this.#bytes.subarray(at, at + this.#len(PAYLOAD_LEN));
  }

  /** "EPOCH-SEQ", for `since`; undefined: the channel keeps no history. */
  get position() {
    const seq = this.#bytes.readBigUInt64LE(this.#at + 8);
    return seq === 0n ? undefined : `${this.#bytes.readBigUInt64LE(this.#at)}-${seq}`;
  }

  toJSON() {
    return { channel: this.channel, pattern: this.pattern, payload: this.payload, position: this.position };
  }
}

module.exports = { Message };

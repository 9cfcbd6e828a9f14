'use strict';

const { ListenedEmitter } = require('./listened');
const { RESULT, errorOf, integer, boolean, object, quoted, rangeError, typeError } = require('./errors');

/* By enum fanfare_policy. */
const POLICIES = ['disconnect', 'drop-oldest', 'drop-newest', 'block', 'catch-up'];
/* By enum fanfare_verdict. */
const VERDICTS = ['resumed', 'lost', 'new', 'no-history'];

const NOTIFY = 1, BY_CHANNELS = 2, DEDUP = 4; /* in flags: see src/wasm/host.h */
const U32_MAX = 0xffffffff;
const SINCE_MAX = 64;
const LIMITS = ['bytes', 'messages', 'policy', 'notify', 'channelPolicies', 'dedup'];
const DEFAULTS = { bytes: 32 << 20, messages: 1000000, policy: 'disconnect', notify: true, channelPolicies: true, dedup: false };

function readLimits(options, before) {
  const policy = options.policy ?? before.policy;
  if (typeof policy !== 'string') throw typeError('policy', 'a string', policy);
  if (!POLICIES.includes(policy)) throw rangeError(`policy must be one of ${POLICIES.join(', ')}, not ${JSON.stringify(policy)}`);
  return {
    bytes: integer('bytes', options.bytes, 0, U32_MAX, before.bytes),
    messages: integer('messages', options.messages, 0, U32_MAX, before.messages),
    policy,
    notify: boolean('notify', options.notify, before.notify),
    channelPolicies: boolean('channelPolicies', options.channelPolicies, before.channelPolicies),
    dedup: boolean('dedup', options.dedup, before.dedup),
  };
}

function flagsOf(limits) {
  return (limits.notify ? NOTIFY : 0) | (limits.channelPolicies ? BY_CHANNELS : 0) | (limits.dedup ? DEDUP : 0);
}

/**
 * A subscriber with its outbox. It flows while it has a listener of messages and is not paused: then the hub delivers its
 * messages. Otherwise they wait in the outbox, for read() or a listener.
 */
class Subscriber extends ListenedEmitter {
  /* The fields are for this package only. _held: what the hub had read when the subscriber was paused. */
  constructor(hub, options, listener) {
    super();
    const limits = readLimits(object('options', options, LIMITS), DEFAULTS);
    if (listener !== undefined && typeof listener !== 'function') throw typeError('listener', 'a function', listener);
    this._hub = hub;
    this._limits = limits;
    this._listener = listener ?? null;
    this._emits = false;
    this._pulled = 0; /* the batch of which nothing is left for it: see Hub._pull() */
    this._held = null;
    this._readers = null;
    this._paused = false;
    this._flows = false;
    this._ended = undefined;
    this._handle = 0;
    this._slot = hub._attach(this, limits.bytes, limits.messages, POLICIES.indexOf(limits.policy), flagsOf(limits));
    this._update();
  }

  get closed() {
    return this._handle === 0;
  }

  get paused() {
    return this._paused;
  }

  _core() {
    if (this._handle === 0) throw errorOf(RESULT.CLOSED);
    return this._hub._core;
  }

  /** Listeners were added or removed: whether it flows, and whether the hub keeps it although nothing else does. */
  _update() {
    if (this._handle === 0) return;
    this._emits = this.listenerCount('message') > 0;
    const listens = this._listener !== null || this._emits;
    const flows = listens && !this._paused;
    if (flows !== this._flows) {
      this._flows = flows;
      if (this._held === null) this._hub._flow(this, flows);
      this._hub._changed(this);
    }
    this._hub._keep(this, listens || this._readers !== null || this.eventNames().length > 0);
  }

  /** The rest of a batch may be between outbox and listener: it is kept for read() or unpause(). */
  pause() {
    this._paused = true;
    this._update();
    return this;
  }

  unpause() {
    this._paused = false;
    this._update();
    return this;
  }

  #subscribe(isPattern, name) {
    const core = this._core();
    const len = core.put(isPattern ? 'pattern' : 'channel', name, 0, core.nameMax, RESULT.NAME_TOO_LONG);
    const result = core.call('host_subscribe', this._handle, isPattern, len, this._hub._now());
    if (result !== RESULT.OK && result !== RESULT.ALREADY) throw errorOf(result);
    this._hub._changed();
    return result === RESULT.OK;
  }

  #unsubscribe(isPattern, name) {
    const core = this._core();
    const len = core.put(isPattern ? 'pattern' : 'channel', name, 0, core.nameMax, RESULT.NAME_TOO_LONG);
    const result = core.call('host_unsubscribe', this._handle, isPattern, len);
    if (result !== RESULT.OK && result !== RESULT.NOT_SUBSCRIBED) throw errorOf(result);
    this._hub._changed();
    return result === RESULT.OK;
  }

  #resume(isPattern, name, since) {
    const core = this._core();
    if (typeof since !== 'string') throw typeError('since', 'a string', since);
    const len = core.put(isPattern ? 'pattern' : 'channel', name, 0, core.nameMax, RESULT.NAME_TOO_LONG);
    const result = since.length > SINCE_MAX ? RESULT.INVALID : core.call('host_resume', this._handle, isPattern, len,
      core.put('since', since, len, SINCE_MAX, RESULT.INVALID), this._hub._readClock());
    if (result === RESULT.INVALID)
      throw errorOf(result, `since must be a position, "0", "$" or "-" and a number, not ${quoted(since)}`);
    if (result !== RESULT.OK) throw errorOf(result);
    this._hub._changed();
    return { verdict: VERDICTS[core.number(0)], count: core.number(1), position: core.text() || undefined };
  }

  subscribe(channel) {
    return this.#subscribe(0, channel);
  }

  psubscribe(pattern) {
    return this.#subscribe(1, pattern);
  }

  unsubscribe(channel) {
    return this.#unsubscribe(0, channel);
  }

  punsubscribe(pattern) {
    return this.#unsubscribe(1, pattern);
  }

  unsubscribeAll() {
    const core = this._core();
    let count = 0;
    for (const isPattern of [0, 1])
      while (core.call('host_unsubscribe_first', this._handle, isPattern) === RESULT.OK) count++;
    this._hub._changed();
    return count;
  }

  resume(channel, since) {
    return this.#resume(0, channel, since);
  }

  presume(pattern, since) {
    return this.#resume(1, pattern, since);
  }

  get limits() {
    return { ...this._limits };
  }

  setLimits(options) {
    const core = this._core();
    const limits = readLimits(object('options', options, LIMITS), this._limits);
    core.check('host_subscriber_set_limits', this._handle, limits.bytes, limits.messages,
      POLICIES.indexOf(limits.policy), flagsOf(limits));
    this._limits = limits;
    this._hub._changed();
  }

  get state() {
    const core = this._core();
    core.call('host_subscriber_state', this._handle);
    return {
      bytes: core.number(0),
      messages: core.number(1),
      dropped: core.number(2),
      behind: core.number(3),
      subscriptions: core.number(4),
      position: core.text() || undefined,
    };
  }

  /** Takes the next message out of the outbox; null: there is none. Marks of missing messages become events. */
  read() {
    this._core();
    this._hub._pull(this);
    for (;;) {
      if (this._handle === 0) return null;
      if (this._held !== null && this._held.length > 0) {
        const item = this._held.shift();
        if (this._held.length === 0) this._release();
        if (typeof item === 'object') return item;
        this.emit('missed', item);
        continue;
      }
      const item = this._hub._read(this);
      if (item === null && this._ended !== undefined) this.close();
      if (item === null || typeof item === 'object') return item;
      this.emit('missed', item);
    }
  }

  /** From now on the outbox is read again, in its order. */
  _release() {
    this._held = null;
    if (this._handle !== 0) this._hub._flow(this, this._flows);
  }

  async *[Symbol.asyncIterator]() {
    while (this._handle !== 0) {
      const message = this.read();
      if (message !== null) {
        yield message;
        continue;
      }
      if (this._handle === 0) return;
      await new Promise((resolve) => {
        (this._readers ??= []).push(resolve);
        this._update();
        this._hub._changed();
      });
    }
  }

  _wake() {
    const readers = this._readers;
    this._readers = null;
    if (readers !== null) for (const wake of readers) wake();
    this._update();
  }

  /* ---- What the hub calls ----------------------------------------------------------------------------------- */

  /** item: a message, or the number of missed ones. */
  _deliver(item) {
    if (this._handle === 0) return;
    if (!this._flows || this._held !== null) this._hold(item);
    else this._hand(item);
  }

  _hold(item) {
    if (this._held === null) {
      this._held = [];
      this._hub._flow(this, false);
    }
    this._held.push(item);
    this._hub._changed(this);
  }

  _hand(item) {
    if (typeof item === 'number') {
      this.emit('missed', item);
      return;
    }
    const emits = this._emits;
    if (this._listener !== null) this._listener(item, this);
    if (emits) this.emit('message', item);
  }

  _deliverHeld() {
    while (this._flows && this._held !== null && this._handle !== 0) {
      const item = this._held.shift();
      if (this._held.length === 0) this._release();
      this._hand(item);
    }
  }

  _readable() {
    this._wake();
    if (this._handle !== 0) this.emit('readable');
  }

  _end(reason) {
    if (this._handle === 0) return;
    const first = this._ended === undefined;
    this._ended = reason;
    if (this._flows && this._held === null) this.close();
    this._wake();
    if (first) this.emit('end', reason);
  }

  close() {
    if (this._handle === 0) return;
    const handle = this._handle;
    this._handle = 0;
    this._flows = false;
    this._held = null;
    this._hub._detach(this._slot, handle, this);
    this._wake();
  }

  [Symbol.for('nodejs.dispose')]() {
    this.close();
  }
}

module.exports = { Subscriber };

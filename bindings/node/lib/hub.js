'use strict';

const { performance } = require('node:perf_hooks');
const { Core } = require('./core');
const { ListenedEmitter } = require('./listened');
const { Message } = require('./message');
const { Subscriber } = require('./subscriber');
const { RESULT, errorOf, typeError, rangeError, integer, boolean, object, quoted } = require('./errors');

const U32_MAX = 0xffffffff, I31_MAX = 0x7fffffff;
const OPTIONS = ['epoch', 'subscriptionsMax', 'subscribersMax', 'nameMax', 'messageMax', 'memoryMax', 'historyMax',
  'blockTimeout', 'module'];

/* By enum host_kind: see src/wasm/host.h. */
const MESSAGE = 0, MISSED = 1, READABLE = 2, OVERFLOW = 3;
const RECORD = 4; /* words */
const TAKEN = U32_MAX; /* the slot of a record that need not be delivered any more */
const BATCH = 1024; /* records */
const BATCHES = 16; /* of a turn, before other events of the process */
const CLOSE_BUDGET = 10000;
const SINCE_MAX = 64; /* bytes of a position */
const LAST_POSITION = `${2n ** 64n - 1n}-${2n ** 64n - 1n}`;
const TIMER_MAX = 1 << 30; /* ms */
const FULL_DELAY = 10; /* ms after which publishers that wait because of memoryMax are tried again in any case */
const MEMORY = 13; /* of struct fanfare_figures */

/* Hubs with publishers that wait for a timer of the hub: nothing else may refer to such a hub. */
const waiting = new Set();

/** A name or value among the words of the directive `channel`: one with blanks would be several words. */
function wordOf(what, value) {
  const word = String(value);
  if (!/^[^\s\0]+$/.test(word)) throw errorOf(RESULT.INVALID, `${what} must be one word, not ${JSON.stringify(word)}`);
  return word;
}

/** historySize gives "history-size". */
function optionOf(name) {
  return wordOf('the name of an option', name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`));
}

/** The words of the directive `channel`: { historySize: 100 } gives "history-size 100". */
function wordsOf(options) {
  if (typeof options === 'string') return options;
  if (typeof options !== 'object' || options === null) throw typeError('options', 'an object or a string', options);
  const words = [];
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (typeof value !== 'number' && typeof value !== 'string') throw typeError(name, 'a number or a string', value);
    words.push(optionOf(name), wordOf(name, value));
  }
  return words.join(' ');
}

/** Microseconds, with a random part, so that no two hubs have the same. */
function newEpoch() {
  return Date.now() * 1000 + Math.floor(Math.random() * 1000);
}

/** What a publisher that waits keeps: the caller may change its array. */
function copyOf(what, value) {
  if (typeof value === 'string') return value;
  if (!(value instanceof Uint8Array)) throw typeError(what, 'a string or a Uint8Array', value);
  return new Uint8Array(value);
}

class Hub extends ListenedEmitter {
  #closed = false;
  #slots = []; /* subscribers that the hub keeps; undefined: see #weak */
  #weak = new Map(); /* those that the garbage collector may take */
  #free = [];
  #freed = []; /* slots of which records may still be in the batch */
  #records = new Uint32Array(BATCH * RECORD);
  #next = 0; /* of the batch: the record that is delivered next */
  #count = 0;
  #arena = null;
  #messages = []; /* of the batch */
  #batch = 0; /* number of it */
  #inTurn = false;
  #gaveUp = false;
  #again = false;
  #scheduled = false;
  #held = new Set(); /* subscribers that are to get what was held for them */
  #waiters = [];
  #preparing = false; /* some are to be tried again at once */
  #full = false; /* some wait because of memoryMax */
  #fullMemory = 0; /* what was claimed when they were last tried: with less of it they are tried again */
  #fullAt = 0; /* or at this time, in milliseconds */
  #closing = [];
  #now = 0; /* microseconds; 0: to be read */
  #timer = null;
  #timerAt = Infinity;
  #own = null;
  #onOwnMessage = (message) => this.emit('message', message);
  #registry = new FinalizationRegistry(({ slot, handle }) => this.#reap(slot, handle));
  #turnNow = () => this.#turn();

  constructor(options) {
    super();
    const o = object('options', options, OPTIONS);
    if (o.module !== undefined && !(o.module instanceof WebAssembly.Module))
      throw typeError('module', 'a WebAssembly.Module', o.module);
    const epoch = integer('epoch', o.epoch, 1, Number.MAX_SAFE_INTEGER, newEpoch());
    const numbers = [
      integer('subscriptionsMax', o.subscriptionsMax, 1, I31_MAX, 0),
      integer('subscribersMax', o.subscribersMax, 1, I31_MAX, 0),
      integer('nameMax', o.nameMax, 1, 65535, 0),
      integer('messageMax', o.messageMax, 1, 1 << 29, 0),
      integer('memoryMax', o.memoryMax, 1, U32_MAX, 0),
      integer('historyMax', o.historyMax, 1, U32_MAX, 0),
      integer('blockTimeout', o.blockTimeout, 1, I31_MAX, 0) * 1000,
    ];
    this._core = new Core(o.module, () => this._changed());
    this._core.nameMax = o.nameMax ?? this._core.nameMax;
    this._core.messageMax = o.messageMax ?? this._core.messageMax;
    const result = this._core.call('host_open', this._core.host, epoch, ...numbers);
    if (result !== 0) throw errorOf(result);
  }

  get closed() {
    return this.#closed;
  }

  #open() {
    if (this.#closed) throw errorOf(RESULT.CLOSED, 'the hub is closed');
    return this._core;
  }

  /** Reading the clock costs as much as half a message: once for what happens in one go, between two turns. */
  _now() {
    if (this.#now === 0) {
      this.#now = performance.now() * 1000;
      if (!this.#inTurn) this._changed();
    }
    return this.#now;
  }

  /** For what a time limit depends on: the running code may have taken long. */
  _readClock() {
    this.#now = 0;
    return this._now();
  }

  /* ---- Subscribers ------------------------------------------------------------------------------------------ */

  subscriber(options, listener) {
    if (typeof options === 'function') return new Subscriber(this, undefined, options);
    return new Subscriber(this, options, listener);
  }

  /** The hub's own subscriber, whose messages are events of the hub. */
  get own() {
    if (this.#own === null || this.#own.closed) {
      this.#own = this.subscriber();
      this.#own.on('missed', (count) => this.emit('missed', count));
      this.#own.on('readable', () => this.emit('readable'));
      this.#own.on('end', (reason) => this.emit('end', reason));
      this._update();
    }
    return this.#own;
  }

  /** The hub's own subscriber flows while the hub has a listener of messages. */
  _update() {
    const own = this.#own;
    if (own === null || own.closed) return;
    const listens = this.listenerCount('message') > 0;
    if (listens === own.listeners('message').includes(this.#onOwnMessage)) return;
    if (listens) own.on('message', this.#onOwnMessage);
    else own.off('message', this.#onOwnMessage);
  }

  subscribe(channel) {
    return this.own.subscribe(channel);
  }

  psubscribe(pattern) {
    return this.own.psubscribe(pattern);
  }

  unsubscribe(channel) {
    return this.own.unsubscribe(channel);
  }

  punsubscribe(pattern) {
    return this.own.punsubscribe(pattern);
  }

  _attach(subscriber, bytes, messages, policy, flags) {
    const core = this.#open();
    const slot = this.#free.length > 0 ? this.#free.pop() : this.#slots.length;
    const handle = core.call('host_subscriber_new', core.host, slot, bytes, messages, policy, flags) >>> 0;
    if (handle === 0) {
      if (slot < this.#slots.length) this.#free.push(slot);
      throw errorOf(RESULT.INVALID);
    }
    this.#slots[slot] = subscriber;
    subscriber._handle = handle;
    return slot;
  }

  _flow(subscriber, flows) {
    if (this._core.broken === null) this._core.call('host_subscriber_flow', subscriber._handle, flows ? 1 : 0);
  }

  /** strong: the hub keeps the subscriber. Otherwise the collector may take it, and then it is closed. */
  _keep(subscriber, strong) {
    const slot = subscriber._slot;
    if (strong === (this.#slots[slot] === subscriber)) return;
    if (strong) {
      this.#registry.unregister(subscriber);
      this.#weak.delete(slot);
      this.#slots[slot] = subscriber;
    } else {
      this.#registry.register(subscriber, { slot, handle: subscriber._handle }, subscriber);
      this.#weak.set(slot, new WeakRef(subscriber));
      this.#slots[slot] = undefined;
    }
  }

  #reap(slot, handle) {
    if (!this.#closed) this._detach(slot, handle);
  }

  _detach(slot, handle, subscriber) {
    if (this.#closed) return;
    if (subscriber !== undefined) this.#registry.unregister(subscriber);
    this.#slots[slot] = undefined;
    this.#weak.delete(slot);
    this.#closing.push(slot, handle);
    this.#finishClosing();
  }

  /** One slice of the first subscriber that is being closed, or all of it. */
  #finishClosing() {
    if (this._core.broken !== null) this.#closing = [];
    while (this.#closing.length > 0) {
      const [slot, handle] = this.#closing;
      if (this._core.call('host_subscriber_close', handle, CLOSE_BUDGET) === RESULT.MORE) break;
      this.#closing.splice(0, 2);
      (this.#next < this.#count ? this.#freed : this.#free).push(slot);
    }
    this._changed();
  }

  /* ---- Publishing ------------------------------------------------------------------------------------------- */

  /** @returns the length of the channel's name in the input; the payload's is in #payloadLen */
  #payloadLen = 0;

  #putMessage(core, channel, payload) {
    const len = core.put('channel', channel, 0, core.nameMax, RESULT.NAME_TOO_LONG);
    this.#payloadLen = core.put('payload', payload, len, core.messageMax, RESULT.TOO_LARGE);
    return len;
  }

  #exceptOf(except) {
    if (except === undefined) return 0;
    if (!(except instanceof Subscriber) || except._hub !== this) throw typeError('except', 'a subscriber of this hub', except);
    return except._handle;
  }

  publish(channel, payload, options) {
    const core = this.#open();
    const except = options === undefined ? 0 : this.#exceptOf(object('options', options, ['except']).except);
    const len = this.#putMessage(core, channel, payload);
    if (core.broken !== null) throw core.failure();
    let result;
    try {
      result = core.f.host_post(core.host, len, this.#payloadLen, except, 0, this._now());
    } catch (error) {
      core.broken = error;
      throw core.failure();
    }
    if (core.inputLen > 1 << 20) core.shrinkInput();
    if (result < 0) throw errorOf(-result);
    this._changed();
    return result;
  }

  /** As publish(), and says in whose outboxes the message is. */
  post(channel, payload, options) {
    const receivers = this.publish(channel, payload, options);
    const core = this._core;
    return { receivers, queued: core.number(1), catchingUp: core.number(2), position: core.text() || undefined };
  }

  /** As publish(), but waits while subscribers with the policy block have no room, or memoryMax is reached. */
  publishWait(channel, payload, options) {
    return new Promise((resolve, reject) => {
      const core = this.#open();
      const { signal, except } = object('options', options, ['signal', 'except']);
      if (signal !== undefined && !(signal instanceof AbortSignal)) throw typeError('signal', 'an AbortSignal', signal);
      signal?.throwIfAborted();
      const waiter = {
        publisher: 0,
        result: 0,
        channel: copyOf('channel', channel),
        payload: copyOf('payload', payload),
        except,
        resolve,
        reject,
        signal,
        abort: () => {
          this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
          this.#settle(waiter, () => reject(signal.reason));
        },
      };
      this._readClock();
      waiter.publisher = core.call('host_publisher_new', core.host) >>> 0;
      if (this.#try(waiter)) return;
      this.#waiters.push(waiter);
      signal?.addEventListener('abort', waiter.abort, { once: true });
      this._changed();
    });
  }

  #settle(waiter, tell) {
    waiter.signal?.removeEventListener('abort', waiter.abort);
    try {
      if (this._core.broken === null) this._core.call('fanfare_publisher_free', waiter.publisher);
    } finally {
      tell();
    }
    this._changed();
  }

  /** True: the publication has ended. */
  #try(waiter) {
    const core = this._core;
    let result;
    try {
      const len = this.#putMessage(core, waiter.channel, waiter.payload);
      result = core.call('host_post', core.host, len, this.#payloadLen, this.#exceptOf(waiter.except),
        waiter.publisher, this._now());
      core.shrinkInput();
    } catch (error) {
      this.#settle(waiter, () => waiter.reject(error));
      return true;
    }
    waiter.result = -result;
    if (waiter.result === RESULT.BLOCKED) return false;
    if (waiter.result === RESULT.PREPARING) {
      this.#preparing = this.#again = true;
      return false;
    }
    if (waiter.result === RESULT.FULL) {
      this.#full = true;
      return false;
    }
    this.#settle(waiter, result < 0 ? () => waiter.reject(errorOf(-result)) : () => waiter.resolve(result));
    return true;
  }

  /** A round: see fanfare_hub_begin_round(). */
  #round() {
    const core = this._core, hub = core.call('host_hub', core.host);
    core.check('fanfare_hub_begin_round', hub);
    this.#tryThose(() => true);
    core.check('fanfare_hub_end_round', hub);
  }

  #tryThose(isMeant) {
    const start = performance.now();
    this.#preparing = this.#full = false;
    this.#waiters = this.#waiters.filter((waiter) => {
      if (isMeant(waiter)) return !this.#try(waiter);
      if (waiter.result === RESULT.FULL) this.#full = true;
      return true;
    });
    return performance.now() - start;
  }

  #memory() {
    this._core.call('host_figures', this._core.host);
    return this._core.number(MEMORY);
  }

  /** Tries publishers again of which no round is announced. Many of them may take a fifth of the time. */
  #retry() {
    const isDue = this.#full && (this.#memory() < this.#fullMemory || performance.now() >= this.#fullAt);
    if (!isDue && !this.#preparing) return;
    const took = this.#tryThose((waiter) =>
      waiter.result === RESULT.PREPARING || (isDue && waiter.result === RESULT.FULL));
    if (!isDue) return;
    this.#fullMemory = this.#memory();
    this.#fullAt = performance.now() + Math.max(FULL_DELAY, 4 * took);
  }

  /* ---- Turns ------------------------------------------------------------------------------------------------ */

  /** Something may have to be delivered. subscriber: it may get what was held for it. */
  _changed(subscriber) {
    if (subscriber !== undefined && subscriber._held !== null) this.#held.add(subscriber);
    if (this.#inTurn) {
      this.#again = true;
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(this.#turnNow);
    }
  }

  /** After the core has failed: publishers and readers that wait are told, and no turn follows. */
  #giveUp() {
    const error = this._core.failure(), waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      waiter.signal?.removeEventListener('abort', waiter.abort);
      waiter.reject(error);
    }
    waiting.delete(this);
    clearTimeout(this.#timer);
    this.#held.clear();
    this.#count = this.#next = 0;
    if (this.#gaveUp) return;
    this.#gaveUp = true;
    for (const subscriber of this.#subscribers()) subscriber._wake();
  }

  #subscribers() {
    const weak = Array.from(this.#weak.values(), (ref) => ref.deref());
    return [...this.#slots, ...weak].filter((subscriber) => subscriber !== undefined);
  }

  /** Delivers what is queued before it returns; does nothing if it is called by a listener. */
  flush() {
    const core = this.#open();
    if (core.broken !== null) throw core.failure();
    while (!this.#inTurn && this.#turn());
  }

  /** True: there is more. Then the next turn is scheduled, behind the other events of the process. */
  #turn() {
    this.#scheduled = false;
    if (this.#closed || this.#inTurn) return false;
    if (this._core.broken !== null) {
      this.#giveUp();
      return false;
    }
    let more = true;
    this.#inTurn = true;
    this.#again = false;
    this.#now = 0;
    try {
      for (const subscriber of this.#held) {
        subscriber._deliverHeld();
        this.#held.delete(subscriber);
      }
      more = this.#deliver();
    } finally {
      this.#inTurn = false;
      this.#now = 0;
      if (!this.#closed && this._core.broken !== null) {
        this.#giveUp();
      } else if ((more || this.#again) && !this.#closed && !this.#scheduled) {
        this.#scheduled = true;
        setImmediate(this.#turnNow);
      }
    }
    return !this.#gaveUp && (more || this.#again);
  }

  #deliver() {
    for (let i = 0; i < BATCHES; i++) {
      while (!this.#closed && this.#drain()) {
        this.#dispatch();
        if (++i >= BATCHES) return true;
      }
      if (this.#closed) return false;
      if (this.#closing.length > 0) this.#finishClosing();
      if (this._core.call('host_take_room', this._core.host) !== 0) this.#round();
      if (this.#preparing || this.#full) this.#retry();
      const delay = this._core.call('host_work', this._core.host, this._now());
      if (this.#drain()) continue;
      if (delay === 0 || this.#closing.length > 0) return true;
      this.#arm(delay);
      return false;
    }
    return true;
  }

  /** True: there is a batch, or the rest of one. */
  #drain() {
    if (this.#next < this.#count) return true;
    if (this.#freed.length > 0) this.#free.push(...this.#freed.splice(0, 10000));
    const core = this._core;
    let count;
    try {
      count = core.f.host_drain(core.host, BATCH);
    } catch (error) {
      core.broken = error;
      throw core.failure();
    }
    this.#next = 0;
    this.#count = count;
    this.#messages = [];
    this.#batch++;
    if (count === 0) {
      this.#arena = null;
      return false;
    }
    this.#copyRecords(core, count);
    this.#arena = core.copyArena();
    return true;
  }

  /** Listeners may call functions that fill records. */
  #copyRecords(core, count) {
    const words = count * RECORD, from = core.records(), u32 = core.u32;
    if (this.#records.length < words) this.#records = new Uint32Array(2 * words);
    const to = this.#records;
    if (words <= 32) for (let i = 0; i < words; i++) to[i] = u32[from + i];
    else to.set(u32.subarray(from, from + words));
  }

  #dispatch() {
    const records = this.#records, arena = this.#arena, slots = this.#slots, messages = this.#messages;
    while (this.#next < this.#count) {
      const at = RECORD * this.#next++;
      const kind = records[at + 1], value = records[at + 2], high = records[at + 3];
      const subscriber = slots[records[at]] ?? this.#weak.get(records[at])?.deref();
      if (kind === MESSAGE) {
        const message = (messages[high] ??= new Message(arena, value));
        if (subscriber !== undefined) subscriber._deliver(message);
      } else if (subscriber === undefined) {
        continue;
      } else if (kind === MISSED) {
        subscriber._deliver(value + high * 2 ** 32);
      } else if (kind === READABLE) {
        subscriber._readable();
      } else {
        subscriber._end(kind === OVERFLOW ? 'overflow' : 'overtaken');
      }
    }
  }

  /** What the batch still has for a subscriber is held for it: it is older than what is in its outbox. */
  _pull(subscriber) {
    if (this.#next >= this.#count || subscriber._pulled === this.#batch) return;
    subscriber._pulled = this.#batch;
    const records = this.#records;
    for (let at = RECORD * this.#next; at < RECORD * this.#count; at += RECORD) {
      if (records[at] !== subscriber._slot || records[at + 1] > MISSED) continue;
      records[at] = TAKEN;
      subscriber._hold(this.#itemAt(at));
    }
  }

  /** The message of a record, or the number of missed ones. */
  #itemAt(at) {
    const records = this.#records, value = records[at + 2], high = records[at + 3];
    if (records[at + 1] === MISSED) return value + high * 2 ** 32;
    return (this.#messages[high] ??= new Message(this.#arena, value));
  }

  /** A message, a number of missed ones, or null. */
  _read(subscriber) {
    const core = this._core;
    if (core.call('host_next', subscriber._handle) === 0) return null;
    const at = core.records(), u32 = core.u32;
    this._changed();
    if (u32[at + 1] === MISSED) return u32[at + 2] + u32[at + 3] * 2 ** 32;
    return new Message(core.copyArena(), u32[at + 2]);
  }

  /**
   * delayUs: of the core; negative: none. Its timer keeps the process alive while publishers wait, because it may end a
   * subscriber that blocks them. Otherwise the timer keeps neither process nor hub.
   */
  #arm(delayUs) {
    const holds = delayUs >= 0 && this.#waiters.length > 0;
    const now = performance.now();
    let at = delayUs < 0 ? Infinity : now + delayUs / 1000;
    if (this.#full) at = Math.min(at, Math.max(this.#fullAt, now + 1));
    if (at < this.#timerAt) {
      clearTimeout(this.#timer);
      this.#timerAt = at;
      this.#timer = setTimeout(Hub.#wake, Math.min(Math.ceil(at - now), TIMER_MAX), new WeakRef(this));
    }
    if (holds) {
      this.#timer.ref();
      waiting.add(this);
    } else {
      this.#timer?.unref();
      waiting.delete(this);
    }
  }

  static #wake(ref) {
    const hub = ref.deref();
    if (hub === undefined) return;
    hub.#timerAt = Infinity;
    hub.#turn();
  }

  /* ---- Channels --------------------------------------------------------------------------------------------- */

  #channelOptions(call, glob, words) {
    const core = this.#open();
    const len = core.put('glob', glob, 0, core.nameMax, RESULT.NAME_TOO_LONG);
    const wordsLen = core.put('options', words, len, 65536, RESULT.INVALID);
    const result = core.call(call, core.host, len, wordsLen);
    if (result !== 0) throw errorOf(result, result === RESULT.INVALID ? core.text() : undefined);
    this._changed();
  }

  setChannel(glob, options) {
    this.#channelOptions('host_channel_set', glob, wordsOf(options));
  }

  unsetChannel(glob, ...names) {
    for (const name of names) if (typeof name !== 'string') throw typeError('a name', 'a string', name);
    this.#channelOptions('host_channel_unset', glob, names.map(optionOf).join(' '));
  }

  #keptMessages(core) {
    const count = core.u[(core.view + 12) >>> 2], at = core.records(), u32 = core.u32;
    const arena = core.copyArena();
    return Array.from({ length: count }, (_, i) => new Message(arena, u32[at + RECORD * i + 2]));
  }

  /** options: { last } or { from, to, limit }: the last messages, or the first `limit` of those between two positions. */
  history(channel, options) {
    const core = this.#open();
    const { last, from, to, limit } = object('options', options, ['last', 'from', 'to', 'limit']);
    const len = core.put('channel', channel, 0, core.nameMax, RESULT.NAME_TOO_LONG);
    let result;
    if (from === undefined && to === undefined && limit === undefined) {
      const n = integer('last', last, 0, U32_MAX, U32_MAX);
      result = n === 0 ? 0 : core.call('host_history_last', core.host, len, n, this._readClock());
      if (n === 0) return [];
    } else {
      if (last !== undefined) throw rangeError('last cannot be combined with from, to and limit');
      const n = integer('limit', limit, 0, U32_MAX, 0);
      for (const [what, position] of [['from', from], ['to', to]])
        if (position !== undefined && typeof position !== 'string') throw typeError(what, 'a string', position);
      if (from?.length > SINCE_MAX || to?.length > SINCE_MAX) throw errorOf(RESULT.INVALID, 'from and to must be positions');
      const fromLen = core.put('from', from ?? '0-0', len, SINCE_MAX, RESULT.INVALID);
      const toLen = core.put('to', to ?? LAST_POSITION, len + fromLen, SINCE_MAX, RESULT.INVALID);
      if (limit === 0) return [];
      result = core.call('host_history_range', core.host, len, fromLen, toLen, n, this._readClock());
      if (result === RESULT.INVALID)
        throw errorOf(result, `from and to must be positions, not ${quoted(from)} and ${quoted(to)}`);
    }
    if (result !== RESULT.OK && result !== RESULT.EMPTY) throw errorOf(result);
    return this.#keptMessages(core);
  }

  deleteHistory(channel) {
    const core = this.#open();
    const len = core.put('channel', channel, 0, core.nameMax, RESULT.NAME_TOO_LONG);
    core.check('host_history_delete', core.host, len, this._readClock());
    this._changed();
    return core.number(0);
  }

  numsub(channel) {
    const core = this.#open();
    return core.call('host_numsub', core.host, core.put('channel', channel, 0, core.nameMax, RESULT.NAME_TOO_LONG));
  }

  /**
   * The channels that have subscribers or kept messages, in the order of their bytes. { bytes: true } gives names that are not
   * UTF-8 as they are.
   */
  channels(options) {
    const { bytes } = object('options', options, ['bytes']);
    return this.#names(boolean('bytes', bytes, false));
  }

  *#names(bytes) {
    let after = null;
    for (;;) {
      const core = this.#open();
      const len = after === null ? 0 : core.put('channel', after, 0, 65535, RESULT.NAME_TOO_LONG);
      if (core.call('host_next_channel', core.host, after === null ? 1 : 0, len) !== RESULT.OK) return;
      const [message] = this.#keptMessages(core);
      after = message.channelBytes;
      yield bytes ? after : message.channel;
    }
  }

  get figures() {
    const core = this.#open();
    core.call('host_figures', core.host);
    const names = ['published', 'delivered', 'dropped', 'replayed', 'overtaken', 'evicted', 'expired', 'subscribers',
      'subscriptions', 'channels', 'patterns', 'queuedBytes', 'queuedMessages', 'memory', 'logBytes', 'treeBytes',
      'keptChannels', 'keptMessages', 'keptBytes', 'replays'];
    const figures = Object.fromEntries(names.map((name, i) => [name, core.number(i)]));
    figures.linearMemory = core.memory.buffer.byteLength;
    return figures;
  }

  /** Closes all subscribers. The memory of the instance goes back when nothing refers to the hub any more. */
  close() {
    if (this.#closed) return;
    const subscribers = this.#subscribers();
    const waiters = this.#waiters;
    this.#closed = true;
    this.#waiters = [];
    waiting.delete(this);
    clearTimeout(this.#timer);
    for (const subscriber of subscribers) subscriber.close();
    for (const waiter of waiters) {
      waiter.signal?.removeEventListener('abort', waiter.abort);
      waiter.reject(errorOf(RESULT.CLOSED, 'the hub is closed'));
    }
    this.#slots = [];
    this.#weak.clear();
    this.#count = this.#next = 0;
    this.#held.clear();
    this._core = null;
  }
}

module.exports = { Hub };

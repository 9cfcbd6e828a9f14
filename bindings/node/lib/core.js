'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { WASI } = require('node:wasi');
const { FanfareError, errorOf, typeError } = require('./errors');

/*
 * One instance of fanfare_core.wasm: its memory, and calls of its functions. src/wasm/host.h says what these do; a hub has
 * an instance of its own, so that closing it returns all of its memory.
 */

const MODULE = path.join(__dirname, '..', 'fanfare_core.wasm');
const modules = new Map();

/** The compiled module at this path; each is compiled once. */
function moduleAt(file) {
  let module = modules.get(file);
  if (module === undefined) {
    module = new WebAssembly.Module(fs.readFileSync(file));
    modules.set(file, module);
  }
  return module;
}

/* Offsets in struct host_view. */
const VIEW = { input: 0, inputLen: 4, records: 8, arena: 16, arenaLen: 20, text: 24, numbers: 280 };
const SHORT = 16; /* characters of a string that a loop writes faster than Buffer.write() */
const MEMORY_USED_UP = 3 * 2 ** 30; /* a trap is then taken for an allocation that failed: one may need a GiB */
const LONG = 4096; /* characters of a string whose bytes are counted first, instead of room for 3 bytes of each */

/* A subclass may have a `length` of its own. */
const byteLengthOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'byteLength').get;

/**
 * Writes a string as UTF-8 at an offset, in at most `room` bytes, and returns the number of bytes. Buffer.write() without a
 * length writes nothing if more than 2^31 bytes follow the offset.
 */
function writeString(bytes, value, at, room) {
  const written = bytes.write(value, at, room, 'utf8');
  if (written < value.length) throw new Error(`${written} bytes were written of a string of ${value.length} characters`);
  return written;
}

class Core {
  /** module: a WebAssembly.Module; undefined: that of this package. onBroken is called once, if the instance breaks. */
  constructor(module, onBroken) {
    const wasi = new WASI({ version: 'preview1', args: [], env: {}, preopens: {} });
    const instance = new WebAssembly.Instance(
      module ?? moduleAt(process.env.FANFARE_CORE_WASM || MODULE), wasi.getImportObject());
    wasi.initialize(instance);
    this.f = instance.exports;
    this.memory = instance.exports.memory;
    this.broken = null; /* what was thrown, and later the FanfareError: see failure() */
    this.onBroken = onBroken;
    this.heldName = null; /* the string at the start of the input, which need not be written again */
    this.heldLen = 0;
    this.nameMax = 65535;
    this.messageMax = 1 << 26;
    this.host = this.f.host_new();
    this.view = this.f.host_view(this.host);
    this.refresh();
    this.readInput();
  }

  /** After the memory has grown, views of it are empty. */
  refresh() {
    const buffer = this.memory.buffer;
    this.bytes = Buffer.from(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }

  readInput() {
    if (this.u32.length === 0) this.refresh();
    this.input = this.u32[(this.view + VIEW.input) >>> 2];
    this.inputLen = this.u32[(this.view + VIEW.inputLen) >>> 2];
  }

  /**
   * Calls a function; a trap breaks the instance for ever. So does an overflow of the stack, behind which nothing can be
   * called: therefore `broken` is set first.
   */
  call(name, a, b, c, d, e, f, g, h, i) {
    if (this.broken !== null) throw this.failure();
    try {
      return this.f[name](a, b, c, d, e, f, g, h, i);
    } catch (error) {
      this.broken = error;
      throw this.failure();
    }
  }

  /** The error of a broken instance, once it is broken. */
  failure() {
    if (this.broken instanceof FanfareError) return this.broken;
    const cause = this.broken, bytes = this.memory.buffer.byteLength;
    const text = bytes >= MEMORY_USED_UP && cause instanceof WebAssembly.RuntimeError ? 'its memory is used up' : cause.message;
    const mib = Math.floor(bytes / 2 ** 20);
    const error = new FanfareError('FANFARE_BROKEN', `the core has failed: ${text} (${mib} of 4096 MiB)`);
    error.cause = cause;
    this.broken = error;
    this.onBroken();
    return error;
  }

  /** As call(), for functions that return an enum fanfare_result. */
  check(name, a, b, c, d, e, f, g) {
    const result = this.call(name, a, b, c, d, e, f, g);
    if (result !== 0) throw errorOf(result);
  }

  get u() {
    if (this.u32.length === 0) this.refresh();
    return this.u32;
  }

  number(i) {
    if (this.f64.length === 0) this.refresh();
    return this.f64[((this.view + VIEW.numbers) >>> 3) + i];
  }

  text() {
    if (this.bytes.length === 0) this.refresh();
    const at = this.view + VIEW.text;
    return this.bytes.toString('latin1', at, this.bytes.indexOf(0, at));
  }

  /** Makes room for len bytes of input, and moves the `keep` bytes that are in it already. */
  reserve(len, keep) {
    this.heldName = null;
    const kept = keep > 0 ? Buffer.from(this.bytes.subarray(this.input, this.input + keep)) : null;
    this.call('host_input', this.host, len);
    this.readInput();
    if (kept !== null) kept.copy(this.bytes, this.input);
  }

  /**
   * Writes a string or bytes at an offset of the input, and returns the length. At most `most` bytes: otherwise the error has
   * the result tooLong.
   */
  put(what, value, at, most, tooLong) {
    if (typeof value === 'string' && value === this.heldName && at === 0 && this.heldLen <= most) return this.heldLen;
    if (at === 0) this.heldName = null;
    if (typeof value === 'string') {
      const len = this.putString(what, value, at, most, tooLong);
      if (at === 0) {
        this.heldName = value;
        this.heldLen = len;
      }
      return len;
    }
    if (!(value instanceof Uint8Array)) throw typeError(what, 'a string or a Uint8Array', value);
    const len = byteLengthOf.call(value);
    if (len > most) throw errorOf(tooLong);
    if (this.u32.length === 0) this.refresh();
    if (at + len > this.inputLen) this.reserve(at + len, at);
    this.bytes.set(value, this.input + at);
    return len;
  }

  putString(what, value, at, most, tooLong) {
    const len = value.length;
    if (len > most) throw errorOf(tooLong);
    const room = len > LONG ? Buffer.byteLength(value) : 3 * len;
    if (len > LONG && room > most) throw errorOf(tooLong);
    if (this.u32.length === 0) this.refresh();
    if (at + room > this.inputLen) this.reserve(at + room, at);
    const bytes = this.bytes, to = this.input + at;
    if (len <= SHORT) {
      let i = 0;
      for (; i < len; i++) {
        const c = value.charCodeAt(i);
        if (c > 127) break;
        bytes[to + i] = c;
      }
      if (i === len) return len;
    }
    const written = writeString(bytes, value, to, room);
    if (written !== len && !value.isWellFormed())
      throw typeError(what, 'a string without lone surrogates, or a Uint8Array', value);
    if (written > most) throw errorOf(tooLong);
    return written;
  }

  /** A large message must not leave a large buffer behind. */
  shrinkInput() {
    if (this.inputLen > 1 << 20) this.reserve(0, 0);
  }

  /** A copy of the arena, for messages. */
  copyArena() {
    const u32 = this.u;
    const arena = u32[(this.view + VIEW.arena) >>> 2], len = u32[(this.view + VIEW.arenaLen) >>> 2];
    const copy = Buffer.allocUnsafe(len);
    this.bytes.copy(copy, 0, arena, arena + len);
    return copy;
  }

  /** Index of the first record in u32. */
  records() {
    return this.u[(this.view + VIEW.records) >>> 2] >>> 2;
  }
}

module.exports = { Core, writeString };

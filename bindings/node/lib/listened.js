'use strict';

const { EventEmitter } = require('node:events');

/** An EventEmitter that calls its method _update() when a listener was added or removed. once() calls on(). */
class ListenedEmitter extends EventEmitter {
  on(event, listener) {
    super.on(event, listener);
    this._update();
    return this;
  }

  addListener(event, listener) {
    return this.on(event, listener);
  }

  prependListener(event, listener) {
    super.prependListener(event, listener);
    this._update();
    return this;
  }

  removeListener(event, listener) {
    super.removeListener(event, listener);
    this._update();
    return this;
  }

  off(event, listener) {
    return this.removeListener(event, listener);
  }

  removeAllListeners(event) {
    if (event === undefined) super.removeAllListeners();
    else super.removeAllListeners(event);
    this._update();
    return this;
  }
}

module.exports = { ListenedEmitter };

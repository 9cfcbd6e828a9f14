'use strict';

/** What the core refused. `code` is FANFARE_ and the name of the result in <fanfare/types.h>. */
class FanfareError extends Error {
  constructor(code, text) {
    super(text);
    this.name = 'FanfareError';
    this.code = code;
  }
}

/** By enum fanfare_result. */
const RESULTS = [
  ['OK', 'no error'],
  ['MORE', 'a part was done'],
  ['EMPTY', 'there is nothing'],
  ['INVALID', 'an argument is not allowed'],
  ['BUSY', 'called from within a callback'],
  ['CLOSED', 'the subscriber is closed'],
  ['ALREADY', 'subscribed already'],
  ['NOT_SUBSCRIBED', 'not subscribed'],
  ['NAME_TOO_LONG', 'the name is too long'],
  ['TOO_MANY_SUBSCRIPTIONS', 'the subscriber has too many subscriptions'],
  ['TOO_MANY_SUBSCRIBERS', 'the channel or pattern has too many subscribers'],
  ['TOO_MANY', 'the pattern matches too many channels'],
  ['TOO_LARGE', 'the message is too large'],
  ['BLOCKED', 'the outbox of a subscriber with the policy block is full'],
  ['FULL', 'the messages in all outboxes need too much memory'],
  ['PREPARING', 'the message is being copied'],
];
const RESULT = Object.fromEntries(RESULTS.map(([name], number) => [name, number]));

/** text is what the core says of this error, if it says anything. */
function errorOf(result, text) {
  const [name, usual] = RESULTS[result] ?? ['UNKNOWN', `unknown result ${result}`];
  return new FanfareError(`FANFARE_${name}`, text || usual);
}

function typeError(what, wanted, value) {
  const error = new TypeError(`${what} must be ${wanted}, not ${value === null ? 'null' : typeof value}`);
  error.code = 'ERR_INVALID_ARG_TYPE';
  return error;
}

function rangeError(text) {
  const error = new RangeError(text);
  error.code = 'ERR_OUT_OF_RANGE';
  return error;
}

/** An integer from least to most; undefined gives initial. */
function integer(what, value, least, most, initial) {
  if (value === undefined) return initial;
  if (typeof value !== 'number') throw typeError(what, 'a number', value);
  if (!Number.isInteger(value) || value < least || value > most)
    throw rangeError(`${what} must be an integer from ${least} to ${most}, not ${value}`);
  return value;
}

function boolean(what, value, initial) {
  if (value === undefined) return initial;
  if (typeof value !== 'boolean') throw typeError(what, 'a boolean', value);
  return value;
}

function object(what, value, names) {
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null) throw typeError(what, 'an object', value);
  for (const name of Object.keys(value))
    if (!names.includes(name)) throw rangeError(`${what} has no ${JSON.stringify(name)}; allowed: ${names.join(', ')}`);
  return value;
}

/** A value that was refused, for a message. */
function quoted(value) {
  if (value === undefined) return 'undefined';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

module.exports = { FanfareError, RESULT, errorOf, typeError, rangeError, integer, boolean, object, quoted };

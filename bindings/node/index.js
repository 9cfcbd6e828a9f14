'use strict';

const { Hub } = require('./lib/hub');
const { Subscriber } = require('./lib/subscriber');
const { Message } = require('./lib/message');
const { FanfareError } = require('./lib/errors');

module.exports = { Hub, Subscriber, Message, FanfareError };

// centrifuge-js, unchanged: centrifuge.js URL. Each line of stdin is [operation, ...arguments] in JSON; each line of stdout an
// event, [name, ...details]. The tokens of an operation are given out one by one, the last one again and again.
'use strict';

const readline = require('readline');
const { Centrifuge } = require('centrifuge');
const WebSocket = require('ws');

const say = (...event) => console.log(JSON.stringify(event));
let socket;

class Socket extends WebSocket {
  constructor(...args) {
    super(...args);
    socket = this;
  }
}

const giver = (tokens, what) => async () => {
  say('token', what);
  return tokens.length > 1 ? tokens.shift() : tokens[0];
};

let client;
const subscriptions = {};

function publication(channel, context) {
  say('publication', channel, context.data, context.offset ?? null, context.tags ?? null);
}

const operations = {
  connect(tokens) {
    const options = { websocket: Socket, minReconnectDelay: 20, maxReconnectDelay: 200, timeout: 10000 };
    client = new Centrifuge(process.argv[2], tokens ? { ...options, getToken: giver(tokens, 'connection') } : options);
    client.on('connected', (context) => say('connected', context.client));
    client.on('connecting', (context) => say('connecting', context.code));
    client.on('disconnected', (context) => say('disconnected', context.code, context.reason));
    client.on('error', (context) => say('error', context.error.code, context.error.message));
    client.on('subscribed', (context) => say('server subscribed', context.channel, context.recovered));
    client.on('publication', (context) => publication(context.channel, context));
    client.connect();
  },
  subscribe(channel, options = {}, tokens = null) {
    const subscription = client.newSubscription(channel, {
      minResubscribeDelay: 20, maxResubscribeDelay: 200, ...options, ...(tokens && { getToken: giver(tokens, channel) }),
    });
    subscriptions[channel] = subscription;
    subscription.on('subscribed', (context) => say('subscribed', channel, context.wasRecovering, context.recovered));
    subscription.on('unsubscribed', (context) => say('unsubscribed', channel, context.code));
    subscription.on('subscribing', (context) => context.code > 1 && say('subscribing', channel, context.code));
    subscription.on('error', (context) => say('subscription error', channel, context.error.code));
    subscription.on('publication', (context) => publication(channel, context));
    subscription.subscribe();
  },
  unsubscribe: (channel) => subscriptions[channel].unsubscribe(),
  disconnect: () => client.disconnect(),
  // The connection is lost without a word.
  drop: () => socket._socket.destroy(),
  publish: async (channel, data) => say('published', await client.publish(channel, data)),
  history: async (channel, options) => {
    const { publications, offset } = await client.history(channel, options);
    say('history', publications.map(({ data }) => data), offset);
  },
  presence: async (channel) => {
    const { clients } = await client.presence(channel);
    say('presence', Object.values(clients).map(({ user, connInfo }) => [user, connInfo ?? null]));
  },
  stats: async (channel) => say('stats', await client.presenceStats(channel)),
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const [operation, ...args] = JSON.parse(line);
  try {
    await operations[operation](...args);
  } catch (error) {
    say('failed', operation, error.code);
  }
}).on('close', () => process.exit(0));

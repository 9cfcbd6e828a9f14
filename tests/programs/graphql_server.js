// A GraphQL server: graphql_server.js PORT, where PORT is that of its Redis. Each line of stdin is [operation, ...arguments]
// in JSON; each line of stdout what happened, [name, ...details]. The name of a message is that of its subscription.
'use strict';

const readline = require('readline');
const { buildSchema, graphql, parse, subscribe } = require('graphql');
const { RedisPubSub } = require('graphql-redis-subscriptions');

const say = (...words) => console.log(JSON.stringify(words));

// By default ioredis gives up its commands after 20 failed attempts to connect, also those by which it subscribes again:
// then these subscriptions are lost.
const connection = { port: Number(process.argv[2]), retryStrategy: () => 50, maxRetriesPerRequest: null };
// graphql-redis-subscriptions drops messages that arrive together with the confirmation of their subscription. From
// 'subscribed' on it drops none.
class Redis extends RedisPubSub {
  async subscribe(topic, ...more) {
    const id = await super.subscribe(topic, ...more);
    say('subscribed', topic);
    return id;
  }
}
const pubsub = new Redis({ connection, connectionListener: () => {} });
const subscriber = pubsub.getSubscriber();

const schema = buildSchema(`
  type Message { channel: String!, number: Int! }
  type Query { unused: Int }
  type Mutation { publish(channel: String!, from: Int!, to: Int!): Boolean }
  type Subscription { message(topic: String!, pattern: Boolean!): Message! }
`);
const rootValue = {
  message: ({ topic, pattern }) => pubsub.asyncIterableIterator(topic, { pattern }),
  publish: async ({ channel, from, to }) => {
    for (let number = from; number < to; number++) await pubsub.publish(channel, { message: { channel, number } });
  },
};
const mutation = 'mutation ($channel: String!, $from: Int!, $to: Int!) { publish(channel: $channel, from: $from, to: $to) }';
const subscription = `subscription ($topic: String!, $pattern: Boolean!) {
  message(topic: $topic, pattern: $pattern) { channel number }
}`;

const running = {};
const operations = {
  async publish(channel, from, to) {
    const { errors } = await graphql({ schema, rootValue, source: mutation, variableValues: { channel, from, to } });
    if (errors) throw errors[0];
  },
  async subscribe(name, topic, pattern) {
    // ioredis 5, which graphql-redis-subscriptions brings with it, checks with INFO after each connect whether the server is
    // ready. If a subscription begins before that, it is sent at once, and makes the check fail: ioredis connects again, and
    // forgets this subscription although the server has confirmed it. This happens with redis-server, too.
    if (subscriber.status !== 'ready') await new Promise((resolve) => subscriber.once('ready', resolve));
    const variableValues = { topic, pattern };
    running[name] = await subscribe({ schema, rootValue, document: parse(subscription), variableValues });
    for await (const { data, errors } of running[name]) {
      if (errors) throw errors[0];
      say(name, data.message.channel, data.message.number);
    }
    say('stopped', name);
  },
  stop: (name) => running[name].return(),
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const [operation, ...words] = JSON.parse(line);
  try {
    await operations[operation](...words);
  } catch (error) {
    say('failed', operation, error.message);
  }
}).on('close', () => process.exit(0));

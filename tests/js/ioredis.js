// Drives ioredis against the daemon on the port given; what happened is one JSON array a line on stdout.
'use strict';

const assert = require('assert');
const fs = require('fs');
const Redis = require('ioredis');

const port = Number(process.argv[2]);
const say = (...words) => console.log(JSON.stringify(words));
// TLS_CA: speak TLS and trust it; TLS_CERT and TLS_KEY: show this.
const file = (name) => process.env[name] && fs.readFileSync(process.env[name]);
const tls = process.env.TLS_CA && { ca: file('TLS_CA'), cert: file('TLS_CERT'), key: file('TLS_KEY') };
const connect = (more) => new Redis({ host: tls ? 'localhost' : '127.0.0.1', port, tls, ...more });
const fail = (error) => {
  console.error(error);
  process.exit(1);
};

// Resolves with the first `count` calls of `event`.
function events(emitter, event, count) {
  return new Promise((resolve) => {
    const seen = [];
    emitter.on(event, (...args) => {
      seen.push(args);
      if (seen.length === count) resolve(seen);
    });
  });
}

const scenarios = {
  async messages() {
    const subscriber = connect();
    const publisher = connect();
    assert.strictEqual(await publisher.ping(), 'PONG');
    assert.strictEqual(await publisher.echo('🎺'), '🎺');
    assert.strictEqual(await subscriber.subscribe('a', 'b'), 2);
    assert.strictEqual(await subscriber.psubscribe('n.*'), 3);
    const messages = events(subscriber, 'message', 2);
    const pmessages = events(subscriber, 'pmessage', 1);
    assert.strictEqual(await publisher.publish('a', 'one'), 1);
    assert.strictEqual(await publisher.publish('b', 'zwei 🎺'), 1);
    assert.strictEqual(await publisher.publish('n.x', 'three'), 1);
    assert.strictEqual(await publisher.publish('nobody', 'x'), 0);
    assert.deepStrictEqual(await messages, [['a', 'one'], ['b', 'zwei 🎺']]);
    assert.deepStrictEqual(await pmessages, [['n.*', 'n.x', 'three']]);
    assert.deepStrictEqual(await publisher.pubsub('NUMSUB', 'a', 'b'), ['a', 1, 'b', 1]);
    assert.deepStrictEqual((await publisher.pubsub('CHANNELS')).sort(), ['a', 'b']);
    assert.strictEqual(await subscriber.unsubscribe('a'), 2);
    assert.strictEqual(await publisher.publish('a', 'gone'), 0);
    // In this order: ioredis takes the end of unsubscribe() from the count of all kinds being 0.
    assert.strictEqual(await subscriber.punsubscribe('n.*'), 1);
    assert.strictEqual(await subscriber.unsubscribe(), 0);
    assert.strictEqual(await subscriber.echo('free again'), 'free again');
    await Promise.all([subscriber.quit(), publisher.quit()]);
  },

  async shards() {
    const subscriber = connect();
    const publisher = connect();
    await subscriber.ssubscribe('s1', 's2');
    const messages = events(subscriber, 'smessage', 2);
    assert.strictEqual(await publisher.spublish('s1', 'one'), 1);
    assert.strictEqual(await publisher.spublish('s2', 'two'), 1);
    assert.strictEqual(await publisher.publish('s1', 'elsewhere'), 0);
    assert.deepStrictEqual(await messages, [['s1', 'one'], ['s2', 'two']]);
    await subscriber.sunsubscribe('s1');
    assert.strictEqual(await publisher.spublish('s1', 'gone'), 0);
    await Promise.all([subscriber.quit(), publisher.quit()]);
  },

  async queue() {
    const workers = [connect(), connect()];
    const publisher = connect();
    const names = ['$queue/g/jobs', '$queue/audit/jo*'];
    const seen = { message: [], pmessage: [] };
    const all = new Promise((resolve) => {
      const collect = (event) => (...args) => {
        seen[event].push(args);
        if (seen.message.length === 10 && seen.pmessage.length === 10) resolve();
      };
      workers.forEach((worker) => Object.keys(seen).forEach((event) => worker.on(event, collect(event))));
    });
    for (const worker of workers) {
      assert.strictEqual(await worker.subscribe(names[0]), 1);
      assert.strictEqual(await worker.psubscribe(names[1]), 2);
    }
    for (let n = 0; n < 10; n++) assert.strictEqual(await publisher.publish('jobs', String(n)), 2);
    await all;
    const expected = Array.from({ length: 10 }, (_, n) => String(n));
    const by = (a, b) => Number(a[a.length - 1]) - Number(b[b.length - 1]);
    assert.deepStrictEqual(seen.message.sort(by), expected.map((n) => [names[0], n]));
    assert.deepStrictEqual(seen.pmessage.sort(by), expected.map((n) => [names[1], 'jobs', n]));
    for (const worker of workers) {
      assert.strictEqual(await worker.punsubscribe(names[1]), 1);
      assert.strictEqual(await worker.unsubscribe(), 0);
      assert.strictEqual(await worker.echo('free again'), 'free again');
    }
    assert.strictEqual(await publisher.publish('jobs', 'gone'), 0);
    await Promise.all([...workers, publisher].map((client) => client.quit()));
  },

  async binary() {
    const subscriber = connect();
    const publisher = connect();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    await subscriber.subscribe('raw');
    const messages = events(subscriber, 'messageBuffer', 1);
    await publisher.publish('raw', bytes);
    const [[channel, payload]] = await messages;
    assert.strictEqual(channel.toString(), 'raw');
    assert.ok(bytes.equals(payload));
    await Promise.all([subscriber.quit(), publisher.quit()]);
  },

  async pipeline() {
    const client = connect();
    const pipeline = client.pipeline();
    for (let n = 0; n < 1000; n++) pipeline.echo(String(n));
    pipeline.call('NOSUCHCOMMAND');
    const replies = await pipeline.exec();
    for (let n = 0; n < 1000; n++) assert.deepStrictEqual(replies[n], [null, String(n)]);
    assert.match(replies[1000][0].message, /^ERR unknown command 'NOSUCHCOMMAND'/);
    await client.quit();
  },

  async password() {
    const wrong = connect({ password: 'wrong', retryStrategy: null });
    const [[error]] = await events(wrong, 'error', 1);
    assert.match(error.message, /WRONGPASS/);
    wrong.disconnect();
    const right = connect({ username: 'default', password: 'secret', connectionName: 'named' });
    assert.strictEqual(await right.client('GETNAME'), 'named');
    await right.quit();
  },

  // The test kills and restarts the daemon in between.
  async reconnect() {
    const subscriber = connect({ retryStrategy: () => 50 });
    subscriber.on('error', () => {});
    subscriber.on('message', (channel, payload) => say('message', channel, payload));
    subscriber.on('pmessage', (pattern, channel, payload) => {
      say('pmessage', pattern, channel, payload);
      if (payload === 'end') subscriber.quit().then(() => say('end'));
    });
    await subscriber.subscribe('a', 'b');
    await subscriber.psubscribe('p*');
    say('subscribed');
  },
};

scenarios[process.argv[3]]().catch(fail);

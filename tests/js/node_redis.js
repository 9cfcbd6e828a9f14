// Drives node-redis against the daemon: port, scenario, RESP version. See ioredis.js.
'use strict';

const assert = require('assert');
const fs = require('fs');
const { createClient, BasicClientSideCache } = require('redis');

const port = Number(process.argv[2]);
const RESP = Number(process.argv[4]);
const say = (...words) => console.log(JSON.stringify(words));
const fail = (error) => {
  console.error(error);
  process.exit(1);
};

// As in ioredis.js.
const file = (name) => process.env[name] && fs.readFileSync(process.env[name]);
const place = process.env.TLS_CA
  ? { host: 'localhost', tls: true, ca: file('TLS_CA'), cert: file('TLS_CERT'), key: file('TLS_KEY') }
  : { host: '127.0.0.1' };

async function connect(more = {}) {
  const { socket, ...others } = more;
  const client = createClient({ socket: { ...place, port, ...socket }, RESP, ...others });
  client.on('error', (error) => client.expected || fail(error));
  return client.connect();
}

// A listener, and a promise of the first `count` of its calls.
function listener(count) {
  const seen = [];
  let resolve;
  const all = new Promise((done) => (resolve = done));
  const listen = (...args) => {
    seen.push(args);
    if (seen.length === count) resolve(seen);
  };
  return [listen, all];
}

const scenarios = {
  async messages() {
    const subscriber = await connect();
    const publisher = await connect();
    assert.strictEqual(await publisher.ping(), 'PONG');
    assert.strictEqual(await publisher.echo('🎺'), '🎺');
    const [onMessage, messages] = listener(2);
    const [onPattern, patterns] = listener(1);
    await subscriber.subscribe(['a', 'b'], onMessage);
    await subscriber.pSubscribe('n.*', onPattern);
    assert.strictEqual(await publisher.publish('a', 'one'), 1);
    assert.strictEqual(await publisher.publish('b', 'zwei 🎺'), 1);
    assert.strictEqual(await publisher.publish('n.x', 'three'), 1);
    assert.deepStrictEqual(await messages, [['one', 'a'], ['zwei 🎺', 'b']]);
    assert.deepStrictEqual(await patterns, [['three', 'n.x']]);
    assert.deepStrictEqual((await publisher.pubSubChannels()).sort(), ['a', 'b']);
    assert.strictEqual(await publisher.pubSubNumPat(), 1);
    await subscriber.unsubscribe('a');
    assert.strictEqual(await publisher.publish('a', 'gone'), 0);
    await subscriber.unsubscribe();
    await subscriber.pUnsubscribe();
    assert.strictEqual(String(await subscriber.echo('free again')), 'free again');
    await Promise.all([subscriber.close(), publisher.close()]);
  },

  async shards() {
    const subscriber = await connect();
    const publisher = await connect();
    const [onMessage, messages] = listener(1);
    await subscriber.sSubscribe('s1', onMessage);
    assert.strictEqual(await publisher.sPublish('s1', 'one'), 1);
    assert.deepStrictEqual(await messages, [['one', 's1']]);
    await subscriber.sUnsubscribe('s1');
    assert.strictEqual(await publisher.sPublish('s1', 'gone'), 0);
    await Promise.all([subscriber.close(), publisher.close()]);
  },

  async queue() {
    const workers = [await connect(), await connect()];
    const publisher = await connect();
    const names = ['$queue/g/jobs', '$queue/audit/jo*'];
    const [onMessage, messages] = listener(10);
    const [onPattern, patterns] = listener(10);
    for (const worker of workers) {
      await worker.subscribe(names[0], onMessage);
      await worker.pSubscribe(names[1], onPattern);
    }
    for (let n = 0; n < 10; n++) assert.strictEqual(await publisher.publish('jobs', String(n)), 2);
    const expected = Array.from({ length: 10 }, (_, n) => String(n));
    const by = (a, b) => Number(a[0]) - Number(b[0]);
    assert.deepStrictEqual((await messages).sort(by), expected.map((n) => [n, names[0]]));
    assert.deepStrictEqual((await patterns).sort(by), expected.map((n) => [n, 'jobs']));
    for (const worker of workers) {
      await worker.unsubscribe();
      await worker.pUnsubscribe(names[1]);
      assert.strictEqual(String(await worker.echo('free again')), 'free again');
    }
    assert.strictEqual(await publisher.publish('jobs', 'gone'), 0);
    await Promise.all([...workers, publisher].map((client) => client.close()));
  },

  async binary() {
    const subscriber = await connect();
    const publisher = await connect();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    const [onMessage, messages] = listener(1);
    await subscriber.subscribe('raw', onMessage, true);
    await publisher.publish('raw', bytes);
    const [[payload]] = await messages;
    assert.ok(bytes.equals(payload));
    await Promise.all([subscriber.close(), publisher.close()]);
  },

  async pipeline() {
    const client = await connect();
    const replies = await Promise.all(Array.from({ length: 1000 }, (_, n) => client.echo(String(n))));
    replies.forEach((reply, n) => assert.strictEqual(reply, String(n)));
    await assert.rejects(client.sendCommand(['NOSUCHCOMMAND']), /ERR unknown command 'NOSUCHCOMMAND'/);
    await client.close();
  },

  // Only in RESP3 may a subscribed connection do other things.
  async busy() {
    const client = await connect();
    const [onMessage, messages] = listener(100);
    await client.subscribe('me', onMessage);
    for (let n = 0; n < 100; n++) {
      assert.strictEqual(await client.publish('me', String(n)), 1);
      assert.strictEqual(await client.echo('between'), 'between');
    }
    const expected = Array.from({ length: 100 }, (_, n) => String(n));
    assert.deepStrictEqual((await messages).map(([payload]) => payload), expected);
    await client.close();
  },

  // The client keeps values that it has read until the server tells it of a change.
  async cache() {
    const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, recordStats: true });
    const client = await connect({ clientSideCache: cache });
    const writer = await connect();
    for (const value of ['one', 'two', null]) {
      const invalidated = new Promise((done) => cache.once('invalidate', done));
      if (value === null) await writer.flushAll();
      else await writer.set('k', value);
      if (value !== 'one') await invalidated;
      assert.strictEqual(await client.get('k'), value);
      const { missCount } = cache.stats();
      assert.strictEqual(await client.get('k'), value);
      assert.strictEqual(cache.stats().missCount, missCount);
    }
    await Promise.all([client.close(), writer.close()]);
  },

  async password() {
    const client = await connect({ username: 'default', password: 'secret', name: 'named' });
    assert.strictEqual(await client.clientGetName(), 'named');
    await client.close();
    const socket = { host: '127.0.0.1', port, reconnectStrategy: false };
    const wrong = createClient({ socket, RESP, password: 'wrong' });
    wrong.on('error', () => {});
    await assert.rejects(wrong.connect(), /WRONGPASS/);
  },

  // The test kills and restarts the daemon in between.
  async reconnect() {
    const subscriber = await connect({ socket: { reconnectStrategy: () => 50 } });
    subscriber.expected = true;
    const onMessage = (payload, channel) => say('message', channel, payload);
    await subscriber.subscribe(['a', 'b'], onMessage);
    await subscriber.pSubscribe('p*', (payload, channel) => {
      say('pmessage', 'p*', channel, payload);
      if (payload === 'end') subscriber.close().then(() => say('end'));
    });
    say('subscribed');
  },
};

scenarios[process.argv[3]]().catch(fail);

// Drives ioredis on the keyspace of the daemon on the port given: one scenario, its status tells.
'use strict';

const assert = require('assert');
const Redis = require('ioredis');

const port = Number(process.argv[2]);
const connect = () => new Redis({ host: '127.0.0.1', port });
const sorted = (words) => [...words].sort();

async function collect(stream) {
  const found = [];
  for await (const items of stream) found.push(...items);
  return found;
}

const pairs = (flat) => Object.fromEntries(flat.flatMap((word, at) => (at % 2 ? [] : [[word, flat[at + 1]]])));
const range = (count) => Array.from({ length: count }, (_, n) => n);

const scenarios = {
  async strings(client) {
    assert.strictEqual(await client.set('k', 'v', 'EX', 100, 'NX'), 'OK');
    assert.strictEqual(await client.set('k', 'w', 'NX'), null);
    assert.strictEqual(await client.set('k', 'w', 'GET'), 'v');
    assert.strictEqual(await client.incrby('n', 41), 41);
    assert.strictEqual(await client.incrbyfloat('n', 0.5), '41.5');
    await client.mset({ a: 1, b: 2 });
    assert.deepStrictEqual(await client.mget('a', 'none', 'b'), ['1', null, '2']);
    const bytes = Buffer.from(range(256));
    await client.set(bytes, bytes);
    assert.ok(bytes.equals(await client.getBuffer(bytes)));
    assert.strictEqual(await client.expire('a', 100), 1);
    assert.ok((await client.ttl('a')) >= 99);
    assert.strictEqual(await client.getdel('a'), '1');
    assert.strictEqual(await client.exists('a', 'b', 'b'), 2);
    await assert.rejects(client.lpush('b', 'x'), /^ReplyError: WRONGTYPE/);
  },

  async hashes(client) {
    assert.strictEqual(await client.hset('h', { name: 'Ada', visits: 1 }), 2);
    assert.deepStrictEqual(await client.hgetall('h'), { name: 'Ada', visits: '1' });
    assert.strictEqual(await client.hincrby('h', 'visits', 4), 5);
    assert.deepStrictEqual(await client.hmget('h', 'name', 'none'), ['Ada', null]);
    assert.strictEqual(await client.hdel('h', 'name', 'none'), 1);
    await client.hset('big', ...range(1000).flatMap((n) => [`f${n}`, n]));
    const found = pairs(await collect(client.hscanStream('big', { count: 50 })));
    assert.strictEqual(Object.keys(found).length, 1000);
    assert.strictEqual(found.f999, '999');
  },

  async lists(client) {
    assert.strictEqual(await client.rpush('l', 'a', 'b', 'c'), 3);
    assert.strictEqual(await client.linsert('l', 'BEFORE', 'b', 'ab'), 4);
    assert.deepStrictEqual(await client.lrange('l', 0, -1), ['a', 'ab', 'b', 'c']);
    assert.strictEqual(await client.lpos('l', 'c'), 3);
    assert.strictEqual(await client.lmove('l', 'm', 'RIGHT', 'LEFT'), 'c');
    assert.deepStrictEqual(await client.lpop('l', 2), ['a', 'ab']);
    assert.deepStrictEqual(await client.lmpop(2, 'none', 'l', 'LEFT', 'COUNT', 5), ['l', ['b']]);
  },

  async sets(client) {
    await client.sadd('s', 'a', 'b', 'c');
    await client.sadd('t', 'b', 'c', 'd');
    assert.deepStrictEqual(sorted(await client.sinter('s', 't')), ['b', 'c']);
    assert.deepStrictEqual(sorted(await client.sunion('s', 't')), ['a', 'b', 'c', 'd']);
    assert.deepStrictEqual(await client.sdiff('s', 't'), ['a']);
    assert.strictEqual(await client.sintercard(2, 's', 't', 'LIMIT', 1), 1);
    assert.deepStrictEqual(await client.smismember('s', 'a', 'x'), [1, 0]);
    await client.sadd('many', ...range(1000));
    assert.strictEqual(new Set(await collect(client.sscanStream('many', { count: 30 }))).size, 1000);
  },

  async zsets(client) {
    assert.strictEqual(await client.zadd('z', 1, 'a', 2, 'b', 3.5, 'c'), 3);
    assert.deepStrictEqual(await client.zrange('z', 0, -1, 'WITHSCORES'), ['a', '1', 'b', '2', 'c', '3.5']);
    assert.strictEqual(await client.zadd('z', 'XX', 'GT', 'CH', 5, 'a'), 1);
    assert.strictEqual(await client.zincrby('z', 1, 'b'), '3');
    assert.strictEqual(await client.zrevrank('z', 'a'), 0);
    assert.deepStrictEqual(await client.zrange('z', '(3', '+inf', 'BYSCORE', 'LIMIT', 0, 1), ['c']);
    assert.deepStrictEqual(await client.zpopmax('z'), ['a', '5']);
    await client.zadd('many', ...range(1000).flatMap((n) => [n, `m${n}`]));
    assert.strictEqual(Object.keys(pairs(await collect(client.zscanStream('many')))).length, 1000);
  },

  async transactions(client, other) {
    await client.set('stock', 10);
    await client.watch('stock');
    await other.decr('stock');
    assert.strictEqual(await client.multi().incr('stock').exec(), null);
    await client.watch('stock');
    const left = Number(await client.get('stock'));
    assert.deepStrictEqual(await client.multi().set('stock', left - 1).rpush('sold', left).exec(), [[null, 'OK'], [null, 1]]);
    const mixed = await client.multi().set('text', 'x').incr('text').get('text').exec();
    assert.deepStrictEqual([mixed[0], mixed[2]], [[null, 'OK'], [null, 'x']]);
    assert.match(mixed[1][0].message, /not an integer/);
    await assert.rejects(client.multi().set('a').exec(), /EXECABORT/);
  },

  async blocking(client, other) {
    const first = client.blpop('jobs', 'urgent', 10);
    await other.rpush('urgent', 'one');
    assert.deepStrictEqual(await first, ['urgent', 'one']);
    const second = client.bzpopmin('queue', 10);
    await other.zadd('queue', 2, 'two');
    assert.deepStrictEqual(await second, ['queue', 'two', '2']);
    const third = client.blmove('from', 'to', 'LEFT', 'RIGHT', 10);
    await other.rpush('from', 'three');
    assert.strictEqual(await third, 'three');
    assert.strictEqual(await client.brpop('never', 0.05), null);
  },

  async scan(client) {
    const pipeline = client.pipeline();
    for (const n of range(500)) pipeline.set(`user:${n}`, n).sadd(`friends:${n}`, n);
    const replies = await pipeline.exec();
    assert.ok(replies.length === 1000 && replies.every(([error]) => error === null));
    assert.strictEqual(new Set(await collect(client.scanStream({ match: 'user:*', count: 17 }))).size, 500);
    assert.strictEqual(new Set(await collect(client.scanStream({ type: 'set' }))).size, 500);
    assert.strictEqual(await client.dbsize(), 1000);
  },
};

async function main() {
  const client = connect();
  const other = connect();
  await scenarios[process.argv[3]](client, other);
  await Promise.all([client.quit(), other.quit()]);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

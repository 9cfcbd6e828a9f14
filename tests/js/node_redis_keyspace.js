// Drives node-redis on the keyspace of the daemon: port, scenario, RESP version. See ioredis_keyspace.js.
'use strict';

const assert = require('assert');
const { createClient } = require('redis');

const port = Number(process.argv[2]);
const RESP = Number(process.argv[4]);

function fail(error) {
  console.error(error);
  process.exit(1);
}

const connect = () => createClient({ socket: { host: '127.0.0.1', port }, RESP }).on('error', fail).connect();
const sorted = (words) => [...words].sort();
const range = (count) => Array.from({ length: count }, (_, n) => n);
const plain = (value) => JSON.parse(JSON.stringify(value));

async function collect(iterator) {
  const found = [];
  for await (const items of iterator) found.push(...items);
  return found;
}

const scenarios = {
  async strings(client) {
    assert.strictEqual(await client.set('k', 'v', { expiration: { type: 'EX', value: 100 }, condition: 'NX' }), 'OK');
    assert.strictEqual(await client.set('k', 'w', { condition: 'NX' }), null);
    assert.strictEqual(await client.set('k', 'w', { GET: true }), 'v');
    assert.strictEqual(await client.incrBy('n', 41), 41);
    assert.strictEqual(await client.incrByFloat('n', 0.5), '41.5');
    await client.mSet({ a: '1', b: '2' });
    assert.deepStrictEqual(await client.mGet(['a', 'none', 'b']), ['1', null, '2']);
    assert.strictEqual(Number(await client.expire('a', 100)), 1);
    assert.ok((await client.ttl('a')) >= 99);
    assert.strictEqual(await client.getDel('a'), '1');
    assert.strictEqual(await client.exists(['a', 'b', 'b']), 2);
    await assert.rejects(client.lPush('b', 'x'), /WRONGTYPE/);
  },

  async hashes(client) {
    assert.strictEqual(await client.hSet('h', { name: 'Ada', visits: 1 }), 2);
    assert.deepStrictEqual(plain(await client.hGetAll('h')), { name: 'Ada', visits: '1' });
    assert.strictEqual(await client.hIncrBy('h', 'visits', 4), 5);
    assert.deepStrictEqual(await client.hmGet('h', ['name', 'none']), ['Ada', null]);
    assert.strictEqual(await client.hDel('h', ['name', 'none']), 1);
    await client.hSet('big', Object.fromEntries(range(1000).map((n) => [`f${n}`, String(n)])));
    const found = await collect(client.hScanIterator('big', { COUNT: 50 }));
    assert.strictEqual(new Set(found.map(({ field }) => field)).size, 1000);
  },

  async lists(client) {
    assert.strictEqual(await client.rPush('l', ['a', 'b', 'c']), 3);
    assert.strictEqual(await client.lInsert('l', 'BEFORE', 'b', 'ab'), 4);
    assert.deepStrictEqual(await client.lRange('l', 0, -1), ['a', 'ab', 'b', 'c']);
    assert.strictEqual(await client.lPos('l', 'c'), 3);
    assert.strictEqual(await client.lMove('l', 'm', 'RIGHT', 'LEFT'), 'c');
    assert.deepStrictEqual(await client.lPopCount('l', 2), ['a', 'ab']);
    assert.deepStrictEqual(await client.lmPop(['none', 'l'], 'LEFT', { COUNT: 5 }), ['l', ['b']]);
  },

  async sets(client) {
    await client.sAdd('s', ['a', 'b', 'c']);
    await client.sAdd('t', ['b', 'c', 'd']);
    assert.deepStrictEqual(sorted(await client.sInter(['s', 't'])), ['b', 'c']);
    assert.deepStrictEqual(sorted(await client.sUnion(['s', 't'])), ['a', 'b', 'c', 'd']);
    assert.deepStrictEqual([...(await client.sDiff(['s', 't']))], ['a']);
    assert.strictEqual(await client.sInterCard(['s', 't'], 1), 1);
    assert.deepStrictEqual(plain(await client.smIsMember('s', ['a', 'x'])).map(Number), [1, 0]);
    await client.sAdd('many', range(1000).map(String));
    assert.strictEqual(new Set(await collect(client.sScanIterator('many', { COUNT: 30 }))).size, 1000);
  },

  async zsets(client) {
    const members = [{ score: 1, value: 'a' }, { score: 2, value: 'b' }, { score: 3.5, value: 'c' }];
    assert.strictEqual(await client.zAdd('z', members), 3);
    assert.deepStrictEqual(plain(await client.zRangeWithScores('z', 0, -1)).map(({ value, score }) => [value, score]),
      [['a', 1], ['b', 2], ['c', 3.5]]);
    assert.strictEqual(await client.zAdd('z', { score: 5, value: 'a' }, { condition: 'XX', comparison: 'GT', CH: true }), 1);
    assert.strictEqual(await client.zIncrBy('z', 1, 'b'), 3);
    assert.strictEqual(await client.zRevRank('z', 'a'), 0);
    assert.deepStrictEqual(await client.zRange('z', '(3', '+inf', { BY: 'SCORE', LIMIT: { offset: 0, count: 1 } }), ['c']);
    assert.deepStrictEqual({ ...(await client.zPopMax('z')) }, { value: 'a', score: 5 });
    assert.strictEqual(await client.zScore('z', 'none'), null);
    await client.zAdd('many', range(1000).map((n) => ({ score: n, value: `m${n}` })));
    const found = await collect(client.zScanIterator('many'));
    assert.strictEqual(new Set(found.map(({ value }) => value)).size, 1000);
  },

  async transactions(client, other) {
    await client.set('stock', 10);
    await client.watch('stock');
    await other.decr('stock');
    await assert.rejects(client.multi().incr('stock').exec(), /One \(or more\) of the watched keys has been changed/);
    await client.watch('stock');
    const left = Number(await client.get('stock'));
    const replies = await client.multi().set('stock', left - 1).rPush('sold', String(left)).exec();
    assert.deepStrictEqual(replies, ['OK', 1]);
    await client.set('text', 'x');
    await assert.rejects(client.multi().set('a', '1').incr('text').exec(), /1 commands failed|not an integer/);
    assert.strictEqual(await client.get('a'), '1');
  },

  async blocking(client, other) {
    const first = client.blPop(['jobs', 'urgent'], 10);
    await other.rPush('urgent', 'one');
    assert.deepStrictEqual({ ...(await first) }, { key: 'urgent', element: 'one' });
    const second = client.bzPopMin('queue', 10);
    await other.zAdd('queue', { score: 2, value: 'two' });
    assert.deepStrictEqual({ ...(await second) }, { key: 'queue', value: 'two', score: 2 });
    const third = client.blMove('from', 'to', 'LEFT', 'RIGHT', 10);
    await other.rPush('from', 'three');
    assert.strictEqual(await third, 'three');
    assert.strictEqual(await client.brPop('never', 0.05), null);
  },

  async scan(client) {
    const writes = range(500).flatMap((n) => [client.set(`user:${n}`, n), client.sAdd(`friends:${n}`, String(n))]);
    await Promise.all(writes);
    assert.strictEqual(new Set(await collect(client.scanIterator({ MATCH: 'user:*', COUNT: 17 }))).size, 500);
    assert.strictEqual(new Set(await collect(client.scanIterator({ TYPE: 'set' }))).size, 500);
    assert.strictEqual(await client.dbSize(), 1000);
  },
};

async function main() {
  const client = await connect();
  const other = await connect();
  await scenarios[process.argv[3]](client, other);
  await Promise.all([client.close(), other.close()]);
}

main().catch(fail);

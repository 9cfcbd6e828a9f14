// rate-limiter-flexible, redlock and redis-semaphore with the server on the port given. Its status tells.
'use strict';

const assert = require('assert');
const Redis = require('ioredis');
const { RateLimiterRedis } = require('rate-limiter-flexible');
const Redlock = require('redlock');
const { MultiSemaphore, Mutex, Semaphore } = require('redis-semaphore');
const { createClient } = require('redis');

const port = Number(process.argv[2]);

async function limit(storeClient, more) {
  const limiter = new RateLimiterRedis({ storeClient, points: 5, duration: 60, ...more });
  for (let left = 4; left >= 0; left--) {
    assert.strictEqual((await limiter.consume('ann')).remainingPoints, left);
  }
  const refused = await limiter.consume('ann').catch((result) => result);
  assert(refused.remainingPoints === 0 && refused.msBeforeNext > 0 && refused.msBeforeNext <= 60000, String(refused));
  assert.strictEqual((await limiter.get('ann')).consumedPoints, 6);
  assert.strictEqual((await limiter.consume('ben', 2)).remainingPoints, 3);
  await limiter.block('ben', 60);
  await assert.rejects(limiter.consume('ben'), (result) => result.msBeforeNext > 0);
  assert.strictEqual(await limiter.delete('ann'), true);
  assert.strictEqual((await limiter.consume('ann')).remainingPoints, 4);
}

const scenarios = {
  async limiter(redis) {
    await limit(redis, { keyPrefix: 'ioredis' });
    const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
    await limit(client, { keyPrefix: 'redis', useRedisPackage: true });
    await client.close();
  },

  async redlock(redis) {
    const patient = new Redlock([redis], { retryCount: 1000, retryDelay: 10 });
    const once = new Redlock([redis], { retryCount: 0 });
    let lock = await once.lock(['a', 'b'], 60000);
    await assert.rejects(once.lock(['b', 'c'], 60000), { name: 'LockError' });
    const next = patient.lock('a', 60000);
    lock = await lock.extend(50000);
    await lock.unlock();
    await assert.rejects(lock.unlock(), { name: 'LockError' });
    await (await next).unlock();
    assert.strictEqual(await redis.exists('a', 'b', 'c'), 0);
  },

  async semaphore(redis) {
    const soon = { acquireAttemptsLimit: 1, lockTimeout: 60000 };
    const mutex = new Mutex(redis, 'm', { lockTimeout: 60000 });
    await mutex.acquire();
    assert.strictEqual(await new Mutex(redis, 'm', soon).tryAcquire(), false);
    const next = new Mutex(redis, 'm', { lockTimeout: 60000, retryInterval: 5 });
    const acquired = next.acquire();
    await mutex.release();
    await acquired;
    await next.release();

    const holders = [1, 2, 3].map(() => new Semaphore(redis, 's', 2, soon));
    assert.deepStrictEqual([await holders[0].tryAcquire(), await holders[1].tryAcquire(), await holders[2].tryAcquire()],
      [true, true, false]);
    await holders[0].release();
    assert.strictEqual(await holders[2].tryAcquire(), true);
    await Promise.all([holders[1].release(), holders[2].release()]);

    const two = new MultiSemaphore(redis, 'n', 3, 2, soon);
    const more = new MultiSemaphore(redis, 'n', 3, 2, soon);
    assert.deepStrictEqual([await two.tryAcquire(), await more.tryAcquire()], [true, false]);
    await two.release();
    // Renewed often within its timeout, it is still held after that.
    const renewed = new Mutex(redis, 'r', { lockTimeout: 2000, refreshInterval: 100 });
    await renewed.acquire();
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert(renewed.isAcquired && await redis.exists('mutex:r') === 1);
    await renewed.release();
  },
};

async function main() {
  const redis = new Redis({ host: '127.0.0.1', port });
  await scenarios[process.argv[3]](redis);
  await redis.quit();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});

// BullMQ with the server on the port given: jobs, delays, priorities, retries, a schedule and a flow. Its status tells.
'use strict';

const assert = require('assert');
const { FlowProducer, Queue, QueueEvents, Worker } = require('bullmq');

const connection = { host: '127.0.0.1', port: Number(process.argv[2]), maxRetriesPerRequest: null };
const deadline = Number(process.argv[3]) * 1000;

async function main() {
  const queue = new Queue('orders', { connection });
  const events = new QueueEvents('orders', { connection });
  const flows = new FlowProducer({ connection });
  await events.waitUntilReady();
  const order = [];
  const perform = async (job) => {
    order.push(job.name);
    if (job.name === 'fails once' && job.attemptsMade === 0) throw new Error('meant to fail');
    if (job.name === 'fails') throw new Error('meant to fail');
    if (job.name === 'parent') return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0);
    await job.updateProgress(50);
    return (job.data.number || 0) * 2;
  };
  const done = (job) => job.waitUntilFinished(events, deadline);

  // Added before there is a worker: the smallest number of the priorities first.
  const low = await queue.add('low', { number: 1 }, { priority: 10 });
  const high = await queue.add('high', { number: 2 }, { priority: 1 });
  assert.deepStrictEqual(await queue.getJobCounts('prioritized', 'wait'), { prioritized: 2, wait: 0 });
  const progress = new Promise((resolve) => events.once('progress', resolve));
  const worker = new Worker('orders', perform, { connection, concurrency: 1 });
  assert.deepStrictEqual([await done(high), await done(low)], [4, 2]);
  assert.deepStrictEqual(order, ['high', 'low']);
  assert.strictEqual((await progress).data, 50);

  const before = Date.now();
  const delayed = await queue.add('delayed', { number: 4 }, { delay: 1500 });
  assert.strictEqual(await delayed.getState(), 'delayed');
  assert.strictEqual(await done(delayed), 8);
  assert(Date.now() - before >= 1500);
  assert.strictEqual(await done(await queue.add('fails once', { number: 5 }, { attempts: 2, backoff: 10 })), 10);
  const failing = await queue.add('fails', {});
  await assert.rejects(done(failing), /meant to fail/);
  assert(await failing.isFailed());

  const many = await queue.addBulk(Array.from({ length: 50 }, (_, number) => ({ name: 'bulk', data: { number } })));
  assert.deepStrictEqual(await Promise.all(many.map(done)), many.map((job) => job.data.number * 2));
  const children = [1, 2, 3].map((number) => ({ name: 'child', queueName: 'orders', data: { number } }));
  const flow = await flows.add({ name: 'parent', queueName: 'orders', children });
  assert.strictEqual(await done(flow.job), 12);
  await queue.upsertJobScheduler('clock', { every: 200, limit: 3 }, { name: 'tick', data: {} });
  for (const end = Date.now() + deadline; order.filter((name) => name === 'tick').length < 2;) {
    assert(Date.now() < end, 'the schedule performs its job again');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert(await queue.removeJobScheduler('clock'));

  await worker.close();
  await queue.obliterate({ force: true });
  assert.strictEqual(await queue.count(), 0);
  await Promise.all([queue.close(), events.close(), flows.close()]);
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});

// ioredis or node-redis that misses nothing: resuming_client.js LIBRARY PORT read|subscribe CHANNEL...
// See tests/lib/resuming_client.py. LIBRARY is ioredis, node-redis-RESP2 or node-redis-RESP3.
'use strict';

const [library, port, mode, ...channels] = process.argv.slice(2);
const since = Object.fromEntries(channels.map((name) => [name, '0']));
const say = (channel, word) => console.log(`${channel} ${word}`);

// Each connection: call(...words), subscribe(listener), ended (a promise).
function ioredis() {
  const Redis = require('ioredis');
  const client = new Redis({ port: Number(port), retryStrategy: () => null, autoResubscribe: false, lazyConnect: true });
  client.on('error', () => {});
  return {
    open: () => client.connect(),
    call: (...words) => client.call(...words),
    subscribe: (listener) => {
      client.on('message', listener);
      return client.subscribe(...channels);
    },
    ended: new Promise((done) => client.on('end', done)),
    close: () => client.disconnect(),
  };
}

function nodeRedis() {
  const { createClient } = require('redis');
  const client = createClient({ socket: { port: Number(port), reconnectStrategy: false }, RESP: Number(library.slice(-1)) });
  let end;
  const ended = new Promise((done) => (end = done));
  client.on('error', () => end());
  client.on('end', () => end());
  return {
    open: () => client.connect(),
    call: (...words) => client.sendCommand(words),
    subscribe: (listener) => client.subscribe(channels, (data, channel) => listener(channel, data)),
    ended,
    close: () => client.isOpen && client.destroy(),
  };
}

// A map of RESP3 comes as an object or a Map, one of RESP2 as pairs or a flat array.
function pairs(reply) {
  if (reply instanceof Map) return [...reply];
  if (!Array.isArray(reply)) return Object.entries(reply);
  if (Array.isArray(reply[0])) return reply;
  return reply.flatMap((name, i) => (i % 2 === 0 ? [[name, reply[i + 1]]] : []));
}

async function read(client) {
  for (const channel of channels) {
    if (since[channel] === '0') {
      const info = Object.fromEntries(pairs(await client.call('HISTORY', 'INFO', channel)));
      since[channel] = info['complete-since'];
    }
  }
  let reply;
  try {
    reply = await client.call('HISTORY', 'READ', 'COUNT', '50', 'BLOCK', '1000', 'CHANNELS', ...channels,
      ...channels.map((channel) => since[channel]));
  } catch (error) {
    if (!error.message.startsWith('LOST')) throw error;
    for (const channel of channels) {
      say(channel, 'lost');
      since[channel] = '0';
    }
    return;
  }
  for (const [channel, messages] of pairs(reply || [])) {
    for (const [position, number] of messages) {
      say(channel, number);
      since[channel] = position;
    }
  }
}

async function subscribe(client) {
  await client.call('OUTBOX', 'SET', 'POSITIONS', 'yes');
  for (let wanted = channels; wanted.length > 0;) {
    const reply = await client.call('RESUME', ...wanted.flatMap((channel) => [channel, since[channel]]));
    wanted = [];
    for (const [channel, verdict, position] of reply) {
      since[channel] = position;
      if (verdict === 'lost') {
        say(channel, 'lost');
        wanted.push(channel);
      }
    }
  }
  await client.subscribe((channel, data) => {
    const [position, number] = data.split(' ');
    say(channel, number);
    since[channel] = position;
  });
  await client.ended;
}

async function run() {
  for (;;) {
    const client = library === 'ioredis' ? ioredis() : nodeRedis();
    try {
      await client.open();
      for (let ended = false; !ended;) {
        const turn = mode === 'read' ? read(client) : subscribe(client);
        ended = await Promise.race([turn.then(() => mode !== 'read'), client.ended.then(() => true)]);
        turn.catch(() => {});
      }
    } catch (error) {
      if (process.env.DEBUG) console.error(error.message);
    }
    client.close();
    await new Promise((done) => setTimeout(done, 10));
  }
}

process.on('unhandledRejection', () => {});
run();

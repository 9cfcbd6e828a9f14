'use strict';

/*
 * A WebSocket server whose channels, patterns, outboxes and history are those of Fanfare, in the same process. Clients send
 * and get JSON texts:
 *
 *   {"subscribe": "room.1"}                          {"subscribed": "room.1"}
 *   {"subscribe": "room.1", "since": POSITION}       {"subscribed": "room.1", "verdict": "resumed", "count": 3}
 *   {"psubscribe": "room.*"}                         {"subscribed": "room.*"}
 *   {"unsubscribe": "room.1"}, {"punsubscribe": ...} {"unsubscribed": "room.1"}
 *   {"publish": "room.1", "data": "hello"}           {"published": "room.1", "receivers": 2}
 *                                                    {"channel": "room.1", "data": "hello", "position": POSITION}
 *                                                    {"missed": 5}
 *                                                    {"error": "..."}
 *
 * PORT=8080 node server.js; ws://127.0.0.1:8080/?user=ann (a real server takes the user from a token)
 */
const { WebSocketServer } = require('ws');
const { Hub } = require('fanfare-core');
const { authorise, isName } = require('./authorise');

const BUFFERED_MAX = 256 * 1024; /* bytes that wait for a client's socket; the rest stays in its outbox */
const ACTIONS = ['subscribe', 'psubscribe', 'unsubscribe', 'punsubscribe', 'publish'];

/* What all clients together may need. */
const hub = new Hub({ nameMax: 256, subscriptionsMax: 1000, memoryMax: 256 << 20, historyMax: 64 << 20 });
hub.setChannel('room.*', { historySize: 100, historyTtl: 300 });

const middlewares = [authorise];

/** Calls the middlewares one after the other, and then what is to be done. */
function run(request, done, i = 0) {
  return i === middlewares.length ? done() : middlewares[i](request, () => run(request, done, i + 1));
}

/** A message is made into JSON once for all of its subscribers. */
const encoded = new WeakMap();
function encode(message) {
  let text = encoded.get(message);
  if (text === undefined) {
    text = JSON.stringify({ channel: message.channel, data: message.payload, position: message.position });
    encoded.set(message, text);
  }
  return text;
}

function act(subscriber, { action, channel, body }) {
  switch (action) {
  case 'subscribe':
    if (body.since === undefined) {
      subscriber.subscribe(channel);
      return { subscribed: channel };
    }
    return { subscribed: channel, ...subscriber.resume(channel, String(body.since)) };
  case 'psubscribe':
    subscriber.psubscribe(channel);
    return { subscribed: channel };
  case 'unsubscribe':
    subscriber.unsubscribe(channel);
    return { unsubscribed: channel };
  case 'punsubscribe':
    subscriber.punsubscribe(channel);
    return { unsubscribed: channel };
  default:
    return { published: channel, receivers: hub.publish(channel, String(body.data ?? '')) };
  }
}

function answer(subscriber, user, text) {
  const body = JSON.parse(text);
  const action = ACTIONS.find((name) => typeof body?.[name] === 'string');
  if (action === undefined) throw new Error(`expected an object with one of ${ACTIONS.join(', ')}`);
  const request = { user, action, channel: body[action], body };
  return run(request, () => act(subscriber, request));
}

/** null: it is not allowed, or the client sent no URL. */
function userOf(request) {
  try {
    const user = new URL(request.url, 'ws://host').searchParams.get('user') ?? 'anonymous';
    return isName(user) ? user : null;
  } catch {
    return null;
  }
}

function serve(socket, request) {
  socket.on('error', () => {}); /* close follows */
  const user = userOf(request);
  if (user === null) {
    socket.close(1008, 'the name of the user is not allowed');
    return;
  }
  const subscriber = hub.subscriber({ messages: 1000, bytes: 1 << 20, policy: 'drop-oldest', dedup: true });

  function sent() {
    if (!subscriber.paused || socket.bufferedAmount > BUFFERED_MAX / 2) return;
    subscriber.unpause();
    socket.resume();
  }
  function send(text) {
    socket.send(text, sent);
    if (socket.bufferedAmount <= BUFFERED_MAX) return;
    /* No more messages, and no more requests, whose answers would be kept here. */
    subscriber.pause();
    socket.pause();
  }
  subscriber.on('message', (message) => send(encode(message)));
  subscriber.on('missed', (count) => send(JSON.stringify({ missed: count })));
  subscriber.on('end', () => socket.close(1013, 'too slow'));
  socket.on('message', (data) => {
    try {
      send(JSON.stringify(answer(subscriber, user, data.toString())));
    } catch (error) {
      send(JSON.stringify({ error: error.message }));
    }
  });
  socket.on('close', () => subscriber.close());
}

const server = new WebSocketServer({
  host: process.env.HOST || '127.0.0.1',
  port: Number(process.env.PORT ?? 8080),
  maxPayload: 64 * 1024,
});
server.on('connection', serve);
server.on('listening', () => console.log(`listening on port ${server.address().port}`));
process.on('SIGTERM', () => {
  for (const socket of server.clients) socket.terminate();
  server.close(() => hub.close());
});

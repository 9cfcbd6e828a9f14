// A web server with express-session, whose sessions connect-redis keeps in the daemon on the port given. It visits
// itself as two browsers would; its status tells.
'use strict';

const assert = require('assert');
const http = require('http');
const { RedisStore } = require('connect-redis');
const session = require('express-session');
const { createClient } = require('redis');

const port = Number(process.argv[2]);

function fail(error) {
  console.error(error);
  process.exit(1);
}

function makeServer(store) {
  const withSession = session({ store, secret: 'not a secret', resave: false, saveUninitialized: false, cookie: { maxAge: 60000 } });
  return http.createServer((request, response) => withSession(request, response, (error) => {
    if (error) fail(error);
    if (request.url === '/logout') {
      request.session.destroy(() => response.end('bye'));
    } else {
      request.session.visits = (request.session.visits || 0) + 1;
      request.session.text = 'ключ 🎺';
      response.end(String(request.session.visits));
    }
  }));
}

// A browser: sends back the cookie that it was given.
function browser(address) {
  let cookie = null;
  return async (path) => {
    const response = await fetch(`http://127.0.0.1:${address.port}${path}`, { headers: cookie ? { cookie } : {} });
    const set = response.headers.get('set-cookie');
    if (set) cookie = set.split(';')[0];
    return response.text();
  };
}

async function main() {
  const client = await createClient({ socket: { host: '127.0.0.1', port } }).on('error', fail).connect();
  const store = new RedisStore({ client, prefix: 'app:' });
  const server = makeServer(store);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const ada = browser(server.address());
  const bob = browser(server.address());

  assert.deepStrictEqual([await ada('/'), await ada('/'), await bob('/'), await ada('/')], ['1', '2', '1', '3']);
  const keys = await client.keys('app:*');
  assert.strictEqual(keys.length, 2);
  for (const key of keys) {
    const left = await client.ttl(key);
    assert.ok(left > 55 && left <= 60, `${left} s left`);
  }
  const all = await store.all();
  assert.deepStrictEqual(all.map(({ visits, text }) => [visits, text]).sort(), [[1, 'ключ 🎺'], [3, 'ключ 🎺']]);
  assert.strictEqual(await store.length(), 2);

  assert.strictEqual(await ada('/logout'), 'bye');
  assert.strictEqual(await ada('/'), '1');
  assert.strictEqual(await bob('/'), '2');

  // What has expired is a new visit.
  for (const key of await client.keys('app:*')) await client.pExpire(key, 1);
  while ((await client.keys('app:*')).length > 0);
  assert.strictEqual(await bob('/'), '1');
  await store.clear();
  assert.strictEqual(await client.dbSize(), 0);

  server.close();
  server.closeAllConnections();
  await client.close();
}

main().catch(fail);

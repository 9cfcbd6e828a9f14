// jose makes keys and signs tokens: see tests/lib/tokens.py. Prints two sets of keys with the same key ids, then reads
// one order a line, {"set": 0, "alg": "ES256", "claims": {...}, "header": {...}}, and prints {"token": "..."}.
// A member of the header that is null is left out. "count": N gives {"tokens": [...]}, which differ in jti.
'use strict';

const crypto = require('node:crypto');
const readline = require('node:readline');
const jose = require('jose');

const HASH_BYTES = { HS256: 32, HS384: 48, HS512: 64 };
const PUBLIC = { RS256: {}, ES256: {}, EdDSA: { crv: 'Ed25519' } };

async function keySet() {
  const signing = {};
  const keys = [];
  for (const [alg, count] of Object.entries(HASH_BYTES)) {
    signing[alg] = crypto.randomBytes(count);
    keys.push({ kty: 'oct', k: jose.base64url.encode(signing[alg]), alg, kid: alg.toLowerCase() });
  }
  for (const [alg, options] of Object.entries(PUBLIC)) {
    const pair = await jose.generateKeyPair(alg, { ...options, extractable: true });
    signing[alg] = pair.privateKey;
    keys.push({ ...(await jose.exportJWK(pair.publicKey)), alg, kid: alg.toLowerCase(), use: 'sig' });
    signing[alg].pem = await jose.exportSPKI(pair.publicKey);
  }
  return { signing, keys };
}

function sign(set, { alg, claims, header }) {
  const full = Object.entries({ alg, kid: alg.toLowerCase(), ...header }).filter(([, value]) => value !== null);
  return new jose.SignJWT(claims).setProtectedHeader(Object.fromEntries(full)).sign(set.signing[alg]);
}

async function answer(sets, order) {
  const set = sets[order.set ?? 0];
  if (!order.count) return { token: await sign(set, order) };
  const tokens = [];
  for (let n = 0; n < order.count; n++) {
    tokens.push(await sign(set, { ...order, claims: { ...order.claims, jti: String(n) } }));
  }
  return { tokens };
}

async function main() {
  const sets = [await keySet(), await keySet()];
  console.log(JSON.stringify(sets.map(({ signing, keys }) => ({
    keys, pem: Object.fromEntries(Object.keys(PUBLIC).map((alg) => [alg, signing[alg].pem])),
  }))));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(sets, JSON.parse(line))));
  }
}

main();

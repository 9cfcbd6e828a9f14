"use strict";
/*
 * A backend that issues tokens for browsers, and serves the pages of this folder.
 *
 *     TOKEN_SECRET=... node backend.js        PORT=3000
 *
 * GET /token?user=ann answers {"token":"...","expires_in":600} and sets the same token as a cookie.
 * Your application looks the user up in its session instead of believing the URL.
 *
 * It needs no packages. With jose (npm install jose) the function token() is
 *
 *     new SignJWT(claims).setProtectedHeader({alg: "HS256"}).setSubject(user).setAudience("fanfare")
 *         .setIssuedAt().setExpirationTime("10m").sign(Buffer.from(SECRET))
 *
 * and with a private key and alg "ES256" or "EdDSA" the daemon needs only the public key:
 * token-public-key-file, or token-jwks-file with exportJWK() of it.
 */
const crypto = require("crypto");
const fs = require("fs");
const http = require("http");
const path = require("path");

const SECRET = process.env.TOKEN_SECRET || "";
const LIFE_S = 600;
const PAGES = {"/sse.html": "sse.html", "/centrifuge.html": "centrifuge.html"};

function encoded(value) {
	return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function token(user) {
	const now = Math.floor(Date.now() / 1000);
	const claims = {
		sub: user,
		aud: "fanfare",
		iat: now,
		exp: now + LIFE_S,
		caps: [
			{channels: ["news", "user." + user], allow: ["sub", "hst"]},
			{channels: ["chat"], allow: ["sub", "pub", "hst"]},
		],
	};
	const text = encoded({alg: "HS256", typ: "JWT"}) + "." + encoded(claims);

	return text + "." + crypto.createHmac("sha256", SECRET).update(text).digest("base64url");
}

/* A name that is part of a channel's name must not have characters with a meaning of their own. */
function isName(user) {
	return /^[a-z0-9_-]{1,64}$/.test(user);
}

function answer(response, status, type, body, headers = {}) {
	response.writeHead(status, {"Content-Type": type, "Cache-Control": "no-store", ...headers});
	response.end(body);
}

function answerToken(request, response, user) {
	if (!isName(user)) {
		answer(response, 403, "application/json", '{"error":"who are you?"}\n');
		return;
	}
	const value = token(user);
	const secure = request.headers["x-forwarded-proto"] === "https" ? "; Secure" : "";

	answer(response, 200, "application/json", JSON.stringify({token: value, expires_in: LIFE_S}) + "\n",
		{"Set-Cookie": `fanfare_token=${value}; Path=/; Max-Age=${LIFE_S}; HttpOnly; SameSite=Strict${secure}`});
}

/* The client library, from node_modules. */
function answerLibrary(response) {
	let file;

	try {
		file = require.resolve("centrifuge/dist/centrifuge.js");
	} catch {
		answer(response, 404, "text/plain", "npm install centrifuge\n");
		return;
	}
	answer(response, 200, "text/javascript", fs.readFileSync(file));
}

if (SECRET.length < 32) {
	console.error("TOKEN_SECRET must have at least 32 bytes: openssl rand -hex 32");
	process.exit(1);
}

http.createServer((request, response) => {
	const url = new URL(request.url, "http://localhost");

	if (url.pathname === "/token")
		answerToken(request, response, url.searchParams.get("user") || "");
	else if (url.pathname === "/centrifuge.js")
		answerLibrary(response);
	else if (Object.hasOwn(PAGES, url.pathname))
		answer(response, 200, "text/html; charset=utf-8", fs.readFileSync(path.join(__dirname, PAGES[url.pathname])));
	else
		answer(response, 404, "text/plain", "not found\n");
}).listen(Number(process.env.PORT || 3000), "127.0.0.1", function () {
	console.log("http://127.0.0.1:%d/sse.html?user=ann", this.address().port);
});

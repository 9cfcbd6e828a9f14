"use strict";
/*
 * A page in a tab that can be in the background, which playwright does not allow: background.js FOLDER URL. Commands and
 * answers are those of page.js.
 *
 *     NODE_PATH=.../node_modules CHROMIUM=/usr/bin/chromium node background.js FOLDER URL
 */
const {spawn} = require("child_process");
const readline = require("readline");
const WebSocket = require("ws");

const [folder, url] = process.argv.slice(2);
const chromium = spawn(process.env.CHROMIUM, ["--headless=new", "--no-sandbox", "--no-first-run",
	"--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0", "--user-data-dir=" + folder,
	"about:blank"]);
const waiting = new Map();
let devtools, sessionId, targetId, other, last = 0;

function call(method, params = {}, session = undefined) {
	return new Promise((done, failed) => {
		waiting.set(++last, {done, failed});
		devtools.send(JSON.stringify({id: last, method, params, sessionId: session}));
	});
}

async function evaluate(expression) {
	const {result, exceptionDetails} = await call("Runtime.evaluate", {expression, returnByValue: true}, sessionId);

	if (exceptionDetails)
		throw new Error(exceptionDetails.text);
	return result.value;
}

async function becomes(state) {
	while (await evaluate("document.visibilityState") !== state)
		await new Promise((done) => setTimeout(done, 50));
}

const commands = {
	async hide() {
		other = (await call("Target.createTarget", {url: "about:blank"})).targetId;
		await call("Target.activateTarget", {targetId: other});
		await becomes("hidden");
	},
	async show() {
		await call("Target.activateTarget", {targetId});
		await becomes("visible");
	},
	async texts(selector) {
		return evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})].map((e) => e.textContent)`);
	},
	evaluate,
};

async function run(address) {
	devtools = new WebSocket(address);
	devtools.on("message", (text) => {
		const {id, result, error} = JSON.parse(text);

		if (error)
			waiting.get(id)?.failed(new Error(error.message));
		else
			waiting.get(id)?.done(result);
		waiting.delete(id);
	});
	await new Promise((done) => devtools.on("open", done));
	targetId = (await call("Target.createTarget", {url})).targetId;
	sessionId = (await call("Target.attachToTarget", {targetId, flatten: true})).sessionId;
	await call("Target.activateTarget", {targetId});
	for await (const line of readline.createInterface({input: process.stdin})) {
		const [what, ...parameters] = JSON.parse(line);

		try {
			const value = await commands[what](...parameters);

			console.log(JSON.stringify({value: value === undefined ? null : value}));
		} catch (error) {
			console.log(JSON.stringify({error: error.message}));
		}
	}
	await call("Browser.close");
}

let said = "";
const listen = (data) => {
	said += data;
	const address = /ws:\/\/\S+/.exec(said);

	if (address) {
		chromium.stderr.off("data", listen);
		chromium.stderr.resume();
		run(address[0]).catch((error) => {
			console.error(error);
			chromium.kill();
		});
	}
};

chromium.stderr.on("data", listen);
chromium.on("exit", () => process.exit(0));

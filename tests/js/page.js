"use strict";
/*
 * A page in Chromium, driven by lines of JSON on stdin: [what, argument...]. Each is answered by a line of JSON on stdout:
 * {"value":...}, or {"error":"..."}. Errors of the page's scripts are errors of the next command.
 *
 *     NODE_PATH=.../node_modules CHROMIUM=/usr/bin/chromium node page.js
 */
const readline = require("readline");
const {chromium} = require("playwright-core");

let browser, page, broken;

const commands = {
	async open(url, width, height, colorScheme) {
		browser ||= await chromium.launch({
			executablePath: process.env.CHROMIUM,
			args: ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
		});
		await commands.close();
		page = await (await browser.newContext({colorScheme, ignoreHTTPSErrors: true, viewport: {width, height}})).newPage();
		page.on("pageerror", (error) => broken = error.message);
		await page.goto(url);
	},
	async close() {
		await page?.context().close();
		page = broken = undefined;
	},
	async evaluate(script) {
		return page.evaluate(script);
	},
	/* Until `count` elements that the selector finds have the text. */
	async wait(selector, text, count, within_ms) {
		const found = ([s, t, n]) => [...document.querySelectorAll(s)].filter((e) => e.textContent.includes(t)).length >= n;

		await page.waitForFunction(found, [selector, text, count], {timeout: within_ms, polling: 50}).catch(async (error) => {
			throw new Error(error.message + ": " + JSON.stringify(await page.locator(selector).allTextContents()));
		});
	},
	async texts(selector) {
		return page.locator(selector).allTextContents();
	},
	async click(selector) {
		await page.click(selector);
	},
	async fill(selector, text) {
		await page.fill(selector, text);
	},
	async press(key) {
		await page.keyboard.press(key);
	},
	async focused() {
		return page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
	},
	async overflow() {
		return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
	},
	async requests_outside(origin) {
		return page.evaluate((own) => performance.getEntriesByType("resource").map((e) => e.name).filter((n) => !n.startsWith(own)),
			origin);
	},
	async screenshot(path) {
		await page.screenshot({path, fullPage: true});
	},
};

(async () => {
	for await (const line of readline.createInterface({input: process.stdin})) {
		const [what, ...parameters] = JSON.parse(line);

		try {
			const value = await commands[what](...parameters);

			if (broken !== undefined)
				throw new Error("the page: " + broken);
			console.log(JSON.stringify({value: value === undefined ? null : value}));
		} catch (error) {
			console.log(JSON.stringify({error: error.message}));
		}
	}
	await browser?.close();
})();

"use strict";
/* The package eventsource: event_source.js URL. Each thing that happens is a line of JSON. */
const {EventSource} = require("eventsource");

const source = new EventSource(process.argv[2]);
const say = (...what) => console.log(JSON.stringify(what));

source.onopen = () => say("open");
source.onerror = () => say(source.readyState === EventSource.CLOSED ? "closed for ever" : "lost");
source.onmessage = (event) => say("message", event.data, event.lastEventId);
source.addEventListener("lagged", (event) => say("lagged", event.data));

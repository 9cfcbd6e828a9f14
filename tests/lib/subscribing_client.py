"""redis-py that subscribes again after its connection was lost: subscribing_client.py PORT reconnect. What happens is one JSON
array a line, as with the scenario reconnect of tests/js/ioredis.js."""

import json
import sys
import time

import redis


def say(*words):
    print(json.dumps(words), flush=True)


subscriber = redis.Redis(port=int(sys.argv[1]), decode_responses=True).pubsub(ignore_subscribe_messages=True)
subscriber.subscribe("a", "b")
subscriber.psubscribe("p*")
for _ in range(3):
    subscriber.get_message(timeout=10)
say("subscribed")
while True:
    try:
        message = subscriber.get_message(timeout=1)
    except redis.ConnectionError:
        time.sleep(0.05)  # the next call connects and subscribes
        continue
    if message:
        say(message["type"], *([message["pattern"]] if message["pattern"] else []), message["channel"], message["data"])
        if message["data"] == "end":
            say("end")
            break

#!/usr/bin/env python3
"""Receives an event when the status of an order changes, and reconnects when the server restarts.

    python3 receiver.py                 until interrupted
    COUNT=3 python3 receiver.py         exits after three events

Needs redis-py (Debian: python3-redis). FANFARE_HOST and FANFARE_PORT name the server.
"""

import json
import os
import random
import sys
import time

import redis


def events(client, pattern):
    """Yields (channel, data) for ever. What is published while the connection is down is missed."""
    attempt = 0
    while True:
        pubsub = client.pubsub()
        try:
            pubsub.psubscribe(pattern)
            for message in pubsub.listen():
                if message["type"] == "psubscribe":
                    attempt = 0
                    print(f"subscribed to {pattern}", file=sys.stderr, flush=True)
                elif message["type"] == "pmessage":
                    yield message["channel"].decode(), message["data"]
        except redis.ConnectionError as error:
            # A random delay, so that not all clients reconnect to a restarted server at once.
            delay = random.uniform(0.5, 1) * min(0.2 * 2**attempt, 10)
            attempt += 1
            print(f"{error}; trying again in {delay:.1f} s", file=sys.stderr, flush=True)
            time.sleep(delay)
        finally:
            pubsub.close()


def handle(channel, data):
    """Returns False if the message is not an event: a mistake of another program must not stop this one."""
    try:
        event = json.loads(data)
        print(f"order {event['order']}: {event['status']}", flush=True)
    except (ValueError, KeyError, TypeError) as error:
        print(f"{channel}: not an event: {error!r}", file=sys.stderr, flush=True)
        return False
    return True


def main():
    client = redis.Redis(
        host=os.environ.get("FANFARE_HOST", "127.0.0.1"),
        port=int(os.environ.get("FANFARE_PORT", "6379")),
        # A receiver sends nothing most of the time. TCP keepalive detects a server that has vanished.
        socket_keepalive=True,
    )
    count = int(os.environ.get("COUNT", "0"))
    handled = 0
    for channel, data in events(client, "orders.*"):
        handled += handle(channel, data)
        if handled == count and count > 0:
            break


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass

#!/usr/bin/env python3
"""Subscribes to three channels, and goes on where it was whenever it or the server was restarted.

    python3 resume.py [FILE]            until interrupted; FILE has the positions, by default shop.positions
    COUNT=3 python3 resume.py           exits after three events

The channels must keep a history, in fanfared.conf or by CHANNEL SET:

    channel orders    history-size 10000 history-ttl 86400
    channel payments  history-size 10000 history-ttl 86400
    channel shipments history-size 10000 history-ttl 86400

Needs redis-py (Debian: python3-redis). FANFARE_HOST and FANFARE_PORT name the server.
"""

import json
import os
import random
import sys
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

CHANNELS = ("orders", "payments", "shipments")
QUIET_S = 10  # after so many seconds without an event the server is asked for a newer position


class Positions:
    """A file with the position of each channel: that of the last event that was handled."""

    def __init__(self, path):
        self._path = path
        try:
            with open(path, encoding="ascii") as file:
                self._of = json.load(file)
        except FileNotFoundError:
            self._of = {}

    def get(self, channel):
        return self._of.get(channel, "0")  # 0: everything that is kept

    def set(self, channel, position):
        """Replaces the file in one step, so that it is complete whenever this program is killed."""
        self._of[channel] = position
        with open(f"{self._path}.new", "w", encoding="ascii") as file:
            json.dump(self._of, file)
        os.replace(f"{self._path}.new", self._path)


def resume(pubsub, positions):
    """Has the server replay what is behind the positions, as soon as the channels are subscribed."""
    pubsub.execute_command("OUTBOX", "SET", "POSITIONS", "yes")
    pubsub.parse_response()
    waiting = list(CHANNELS)
    while waiting:
        pubsub.execute_command("RESUME", *(word for name in waiting for word in (name, positions.get(name))))
        for name, verdict, position, _ in pubsub.parse_response():
            name, position = name.decode(), position.decode()
            if verdict == b"none":
                sys.exit(f"resume: {name} keeps no history; set the options history-size and history-ttl")
            if verdict == b"lost":
                # The position in the reply is the one behind which everything is kept; the next RESUME begins there.
                print(f"{name}: lost what came after {positions.get(name)}", flush=True)
            else:
                waiting.remove(name)
            positions.set(name, position)
    # Refused with LOST if events expired between RESUME and SUBSCRIBE: then events() begins again.
    pubsub.execute_command("SUBSCRIBE", *CHANNELS)


def events(client, positions):
    """Yields (channel, position, data) for ever."""
    attempt = 0
    while True:
        pubsub = client.pubsub()
        try:
            resume(pubsub, positions)
            while True:
                reply = pubsub.parse_response(block=False, timeout=QUIET_S)
                if reply is None:
                    # A channel that is quiet for longer than history-ttl could otherwise count as lost.
                    pubsub.execute_command("RESUME", *(word for name in CHANNELS for word in (name, "$")))
                elif isinstance(reply[0], list):
                    for name, verdict, position, _ in reply:
                        if verdict != b"subscribed":
                            raise redis.ConnectionError(f"the subscription to {name.decode()} is lost")
                        positions.set(name.decode(), position.decode())
                elif reply[0] == b"subscribe":
                    attempt = 0
                    print(f"subscribed to {reply[1].decode()}", file=sys.stderr, flush=True)
                elif reply[0] == b"message":
                    position, _, data = reply[2].partition(b" ")
                    yield reply[1].decode(), position.decode(), data
        except (redis.ConnectionError, redis.TimeoutError) as error:
            # A random delay, so that not all clients reconnect to a restarted server at once.
            delay = random.uniform(0.5, 1) * min(0.2 * 2**attempt, 10)
            attempt += 1
            print(f"{error}; trying again in {delay:.1f} s", file=sys.stderr, flush=True)
            time.sleep(delay)
        except redis.ResponseError as error:
            if not str(error).startswith("LOST "):
                raise
        finally:
            pubsub.close()


def main():
    client = redis.Redis(
        host=os.environ.get("FANFARE_HOST", "127.0.0.1"),
        port=int(os.environ.get("FANFARE_PORT", "6379")),
        # A receiver sends nothing most of the time. TCP keepalive detects a server that has vanished.
        socket_keepalive=True,
        # The library must not reconnect by itself: a new connection has to resume.
        retry=Retry(NoBackoff(), 0),
    )
    positions = Positions(sys.argv[1] if len(sys.argv) > 1 else "shop.positions")
    count = int(os.environ.get("COUNT", "0"))
    for handled, (channel, position, data) in enumerate(events(client, positions), 1):
        print(f"{channel}: {data.decode(errors='replace')}", flush=True)
        positions.set(channel, position)  # after the event: it may come again, but is never missed
        if handled == count:
            break


if __name__ == "__main__":
    try:
        main()
    except redis.ResponseError as error:
        sys.exit(f"resume: {error}")
    except KeyboardInterrupt:
        pass

#!/usr/bin/env python3
"""Reads every event of the channel `orders`, also those that were published while it was not running.

    python3 history_reader.py [FILE]    until interrupted; FILE has the position, by default orders.position
    COUNT=3 python3 history_reader.py   exits after three events

The channel must keep a history, in fanfared.conf or by CHANNEL SET:

    channel orders history-size 10000 history-ttl 86400

Needs redis-py (Debian: python3-redis). FANFARE_HOST and FANFARE_PORT name the server.
"""

import os
import random
import sys
import time

import redis

CHANNEL = "orders"
BLOCK_MS = 5000


def load(path):
    """The position of the last event that was handled, or None before the first run."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip() or None
    except FileNotFoundError:
        return None


def save(path, position):
    """Replaces the file in one step, so that it is complete whenever this program is killed."""
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write(position)
    os.replace(f"{path}.new", path)


def oldest_position(client):
    """The position behind which the server has everything."""
    reply = client.execute_command("HISTORY", "INFO", CHANNEL)
    return dict(zip(reply[::2], reply[1::2]))[b"complete-since"].decode()


def read(client, position):
    """Waits for events behind the position: a list of (position, event), in which None means that there is no event."""
    newest = client.execute_command("HISTORY", "POSITION")
    reply = client.execute_command("HISTORY", "READ", "COUNT", 100, "BLOCK", BLOCK_MS, "CHANNELS", CHANNEL, position)
    if reply is None:
        # There is nothing up to `newest`. A position that stayed behind for longer than history-ttl might count as lost.
        return [(newest.decode(), None)]
    return [(at.decode(), event) for at, event in reply[0][1]]


def events(client, path):
    """Yields (position, event) for ever. If events are not kept any more, it says so and goes on behind them."""
    position = load(path)
    attempt = 0
    while True:
        try:
            if position is None:
                position = oldest_position(client)
                save(path, position)
            for position, event in read(client, position):
                if event is not None:
                    yield position, event
                else:
                    save(path, position)
            attempt = 0
        except (redis.ConnectionError, redis.TimeoutError) as error:
            # A random delay, so that not all clients reconnect to a restarted server at once.
            delay = random.uniform(0.5, 1) * min(0.2 * 2**attempt, 10)
            attempt += 1
            print(f"{error}; trying again in {delay:.1f} s", file=sys.stderr, flush=True)
            time.sleep(delay)
        except redis.ResponseError as error:
            if not str(error).startswith("LOST "):
                raise
            print(f"lost: events after {position}", flush=True)
            position = None


def main():
    client = redis.Redis(
        host=os.environ.get("FANFARE_HOST", "127.0.0.1"),
        port=int(os.environ.get("FANFARE_PORT", "6379")),
        # Longer than BLOCK_MS: only a server that has vanished is silent for this long.
        socket_timeout=BLOCK_MS / 1000 + 10,
    )
    path = sys.argv[1] if len(sys.argv) > 1 else "orders.position"
    count = int(os.environ.get("COUNT", "0"))
    for handled, (position, event) in enumerate(events(client, path), 1):
        print(f"{CHANNEL}: {event.decode(errors='replace')}", flush=True)
        save(path, position)  # after the event: it may come again, but is never missed
        if handled == count:
            break


if __name__ == "__main__":
    try:
        main()
    except redis.ResponseError as error:
        sys.exit(f"history_reader: {error}")
    except KeyboardInterrupt:
        pass

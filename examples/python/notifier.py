#!/usr/bin/env python3
"""An order service that tells whoever listens when the status of an order changes.

    python3 notifier.py                 an event a second, for ever
    COUNT=3 INTERVAL=0.1 python3 notifier.py

Needs redis-py (Debian: python3-redis). FANFARE_HOST and FANFARE_PORT say where fanfared is.
"""

import itertools
import json
import os
import time

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

STATUSES = ("placed", "paid", "packed", "shipped")


class Orders:
    """What the rest of the service calls; it knows nothing of channels."""

    def __init__(self, client):
        self._client = client

    def set_status(self, order, status):
        """Saves the status (left out here), then tells. Returns how many subscriptions heard it."""
        event = {"order": order, "status": status, "at": round(time.time(), 3)}
        return self._client.publish(f"orders.{order}.status", json.dumps(event))


def main():
    client = redis.Redis(
        host=os.environ.get("FANFARE_HOST", "127.0.0.1"),
        port=int(os.environ.get("FANFARE_PORT", "6379")),
        # Tried again, an event may come twice, as when an answer is lost on its way. Receivers of a
        # status do not mind; do without where they would.
        retry=Retry(ExponentialBackoff(cap=5, base=0.1), 8),
        retry_on_error=[redis.ConnectionError],
    )
    orders = Orders(client)
    count = int(os.environ.get("COUNT", "0"))
    interval = float(os.environ.get("INTERVAL", "1"))
    for number in itertools.count(1):
        order = 17 + (number - 1) // len(STATUSES)
        status = STATUSES[(number - 1) % len(STATUSES)]
        heard = orders.set_status(order, status)
        print(f"order {order}: {status}, heard by {heard}", flush=True)
        if number == count:
            break
        time.sleep(interval)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass

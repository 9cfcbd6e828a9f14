#!/usr/bin/env python3
"""An order service that publishes an event when the status of an order changes.

    python3 notifier.py                 one event per second, until interrupted
    COUNT=3 INTERVAL=0.1 python3 notifier.py

Needs redis-py (Debian: python3-redis). FANFARE_HOST and FANFARE_PORT name the server.
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
    """The interface for the rest of the service, which does not know about channels."""

    def __init__(self, client):
        self._client = client

    def set_status(self, order, status):
        """Saves the status (left out here), then publishes it. Returns the number of subscriptions that received it."""
        event = {"order": order, "status": status, "at": round(time.time(), 3)}
        return self._client.publish(f"orders.{order}.status", json.dumps(event))


def main():
    client = redis.Redis(
        host=os.environ.get("FANFARE_HOST", "127.0.0.1"),
        port=int(os.environ.get("FANFARE_PORT", "6379")),
        # With retries an event may be published twice, for instance if the reply is lost. Receivers
        # of a status can accept that; leave the retries out if yours cannot.
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

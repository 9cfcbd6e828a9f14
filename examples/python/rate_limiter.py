#!/usr/bin/env python3
"""Lets each user do a thing at most so many times in any span of time, however many servers ask.

    python3 rate_limiter.py ada ada bob ada     one line a try: "ada: yes, 4 left" or "ada: no, again in 0.8 s"
    LIMIT=2 SPAN=0.5 python3 rate_limiter.py ada ada ada

The times of the last tries are a sorted set, one for each user; MULTI makes of the steps one, and no script is needed.
Needs redis-py (Debian: python3-redis). FANFARE_HOST and FANFARE_PORT say where fanfared is.
"""

import os
import sys
import uuid

import redis


class RateLimiter:
    def __init__(self, client, name, limit, span):
        """At most `limit` in any `span` seconds. `name` keeps apart what is limited apart."""
        self._client = client
        self._name = name
        self._limit = limit
        self._span = span

    def attempt(self, user):
        """(whether it may be done now, how many more then, or in how many seconds again)."""
        key = f"rate:{self._name}:{user}"
        now = self._now()
        mark = f"{now:.6f}:{uuid.uuid4().hex}"
        with self._client.pipeline(transaction=True) as steps:
            steps.zremrangebyscore(key, "-inf", now - self._span)
            steps.zcard(key)
            steps.zadd(key, {mark: now})
            steps.zrange(key, 0, 0, withscores=True)
            # Whoever does not come back leaves nothing behind.
            steps.pexpire(key, int(self._span * 1000) + 1)
            _, before, _, oldest, _ = steps.execute()
        if before < self._limit:
            return True, self._limit - before - 1
        # What was refused does not count, or who keeps trying would never get in again.
        self._client.zrem(key, mark)
        return False, oldest[0][1] + self._span - now

    def _now(self):
        """The daemon's clock, for servers may differ in theirs."""
        whole, micros = self._client.time()
        return whole + micros / 1e6


def main():
    client = redis.Redis(host=os.environ.get("FANFARE_HOST", "127.0.0.1"),
                         port=int(os.environ.get("FANFARE_PORT", "6379")))
    limiter = RateLimiter(client, "demo", int(os.environ.get("LIMIT", "5")), float(os.environ.get("SPAN", "1")))
    for user in sys.argv[1:]:
        allowed, number = limiter.attempt(user)
        print(f"{user}: yes, {number} left" if allowed else f"{user}: no, again in {number:.1f} s", flush=True)


if __name__ == "__main__":
    main()

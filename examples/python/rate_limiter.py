#!/usr/bin/env python3
"""A rate limiter: each user may do something at most LIMIT times in SPAN seconds, across all servers.

    python3 rate_limiter.py ada ada bob ada     one line per attempt: "ada: yes, 4 left" or "ada: no, again in 0.8 s"
    LIMIT=2 SPAN=0.5 python3 rate_limiter.py ada ada ada

A sorted set for each user stores the times of the last attempts. MULTI executes all steps as one; no script is needed.
Needs redis-py (Debian: python3-redis). FANFARE_HOST and FANFARE_PORT name the server.
"""

import os
import sys
import uuid

import redis


class RateLimiter:
    def __init__(self, client, name, limit, span):
        """At most `limit` attempts in any `span` seconds. Limiters with different names are independent."""
        self._client = client
        self._name = name
        self._limit = limit
        self._span = span

    def attempt(self, user):
        """Returns (True, attempts left) or (False, seconds to wait)."""
        key = f"rate:{self._name}:{user}"
        now = self._now()
        mark = f"{now:.6f}:{uuid.uuid4().hex}"
        with self._client.pipeline(transaction=True) as steps:
            steps.zremrangebyscore(key, "-inf", now - self._span)
            steps.zcard(key)
            steps.zadd(key, {mark: now})
            steps.zrange(key, 0, 0, withscores=True)
            # The key of a user who does not return expires.
            steps.pexpire(key, int(self._span * 1000) + 1)
            _, before, _, oldest, _ = steps.execute()
        if before < self._limit:
            return True, self._limit - before - 1
        # A refused attempt does not count; otherwise a user who keeps trying would be refused for ever.
        self._client.zrem(key, mark)
        return False, oldest[0][1] + self._span - now

    def _now(self):
        """The daemon's clock, because the clocks of the servers may differ."""
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

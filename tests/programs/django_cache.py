"""Django's cache with django-redis in the server on the port given; its status tells."""

import sys
import threading

from django.conf import settings

settings.configure(CACHES={"default": {
    "BACKEND": "django_redis.cache.RedisCache", "LOCATION": f"redis://127.0.0.1:{sys.argv[1]}/1",
    "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"}}})

from django.core.cache import cache  # noqa: E402  (the settings must be there)

cache.set("count", 1, timeout=60)
assert cache.incr("count", 4) == 5 and cache.get("count") == 5
assert cache.decr("count") == 4
assert 0 < cache.ttl("count") <= 60 and cache.ttl("missing") == 0
cache.set("for ever", {"key": ["ключ", 1.5, None]}, timeout=None)
assert cache.get("for ever") == {"key": ["ключ", 1.5, None]} and cache.ttl("for ever") is None
assert cache.add("for ever", 1) is False and cache.set("new", 1, nx=True) is True
assert cache.expire("new", timeout=100) and 60 < cache.ttl("new") <= 100
assert cache.persist("new") and cache.ttl("new") is None

cache.set_many({f"page:{i}": i for i in range(50)}, timeout=60)
assert cache.get_many(["page:1", "page:49", "page:50"]) == {"page:1": 1, "page:49": 49}
assert len(cache.keys("page:*")) == 50 and len(list(cache.iter_keys("page:1*"))) == 11
assert cache.delete_pattern("page:*", itersize=7) == 50
assert cache.keys("page:*") == [] and cache.get("for ever") is not None

cache.set("versioned", "old", version=1)
assert cache.incr_version("versioned") == 2 and cache.get("versioned", version=2) == "old"

entered = []
with cache.lock("report", timeout=60):
    assert cache.lock("report", blocking_timeout=0).acquire(blocking=False) is False
    waiter = threading.Thread(target=lambda: cache.lock("report", timeout=60).acquire() and entered.append(True))
    waiter.start()
    assert not entered
waiter.join(timeout=60)
assert entered == [True]
cache.clear()
assert cache.keys("*") == []

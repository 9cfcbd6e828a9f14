"""An application of Celery: the worker loads it, and run as a program it is the client, whose status tells."""

import os
import sys

from celery import Celery, chord, group

URL = f"redis://127.0.0.1:{os.environ['PORT']}"
app = Celery("celery_tasks", broker=URL + "/0", backend=URL + "/1")
app.conf.update(task_acks_late=True, worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=2, default_retry_delay=0)
def fails_once(self):
    if self.request.retries == 0:
        raise self.retry()
    return self.request.retries


def client():
    within = {"timeout": float(os.environ["TIMEOUT"]), "interval": 0.05}
    assert add.delay(2, 3).get(**within) == 5
    assert add.apply_async((3, 4), countdown=1).get(**within) == 7
    assert add.apply_async((4, 5), priority=9).get(**within) == 9
    assert fails_once.delay().get(**within) == 1
    assert group(add.s(i, i) for i in range(10))().get(**within) == [2 * i for i in range(10)]
    assert chord((add.s(i, i) for i in range(10)), total.s())().get(**within) == 90
    try:
        add.delay(1, "x").get(**within)
        raise AssertionError("the task did not fail")
    except TypeError:
        pass
    pongs = app.control.ping(timeout=within["timeout"], limit=1)
    assert [list(pong.values()) for pong in pongs] == [[{"ok": "pong"}]], pongs


if __name__ == "__main__":
    sys.modules["celery_tasks"] = sys.modules["__main__"]
    client()

"""Jobs of RQ, and run as a program the client: "enqueue" before a worker ran, "results" after it."""

import os
import sys
import datetime

PORT = int(os.environ["PORT"])


def multiply(x, y):
    return x * y


def fail():
    raise ValueError("meant to fail")


def enqueue(queue):
    first = queue.enqueue("rq_jobs.multiply", 6, 7, job_id="first")
    queue.enqueue("rq_jobs.multiply", 2, 3, job_id="second", depends_on=first)
    queue.enqueue("rq_jobs.fail", job_id="failing")
    queue.enqueue_in(datetime.timedelta(seconds=1), "rq_jobs.multiply", 3, 3, job_id="delayed")
    assert queue.job_ids == ["first", "failing"], queue.job_ids


def results(queue):
    assert queue.fetch_job("first").result == 42
    assert queue.fetch_job("second").result == 6
    assert "meant to fail" in queue.fetch_job("failing").exc_info
    assert queue.failed_job_registry.get_job_ids() == ["failing"]
    assert set(queue.finished_job_registry.get_job_ids()) == {"first", "second"}
    assert queue.scheduled_job_registry.get_job_ids() == ["delayed"]


def delayed(queue):
    """Has the delayed job been performed?"""
    sys.exit(0 if queue.fetch_job("delayed").result == 9 else 3)


if __name__ == "__main__":
    from redis import Redis
    from rq import Queue
    globals()[sys.argv[1]](Queue(connection=Redis(port=PORT)))

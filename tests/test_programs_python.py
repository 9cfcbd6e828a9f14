"""Celery, RQ and django-redis of Debian: tasks and jobs that a real worker performs, and a cache."""

import subprocess

from lib.programs import FOLDER, environment, need, need_python, run, worker
from lib.wait import seconds, wait_until


def test_celery_performs_tasks(server, folder):
    python, celery = need_python("celery", "kombu", "redis"), need("celery")
    env = environment(server)
    with worker(python, celery, "-A", "celery_tasks", "worker", "-c", "1", "-l", "info", "-n", "worker@localhost", env=env, cwd=folder,
                ready=b" ready."):
        run(python, FOLDER / "celery_tasks.py", env=env, within=120)
    with server.connect() as client:
        assert client.call("LLEN", "celery") == 0
        assert client.call("HLEN", "unacked") == 0


def test_rq_performs_jobs(server, folder):
    python, rq = need_python("rq"), need("rq")
    env = environment(server)
    words = [python, rq, "worker", "--burst", "--url", f"redis://127.0.0.1:{server.port}"]
    run(python, FOLDER / "rq_jobs.py", "enqueue", env=env)
    run(*words, env=env, cwd=folder)
    run(python, FOLDER / "rq_jobs.py", "results", env=env)
    with worker(*words[:3], *words[4:], "--with-scheduler", env=env, cwd=folder):
        done = [python, str(FOLDER / "rq_jobs.py"), "delayed"]
        wait_until(lambda: subprocess.run(done, env=env, timeout=seconds(20), check=False).returncode == 0,
                   "the delayed job is performed", 30)


def test_django_redis_is_a_cache(server):
    run(need_python("django", "django_redis"), FOLDER / "django_cache.py", server.port)

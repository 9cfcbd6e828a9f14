"""Sidekiq of Debian: a real process performs jobs, also scheduled and repeated ones."""

from lib.programs import FOLDER, environment, need, run, worker
from lib.wait import wait_until


def test_sidekiq_performs_jobs(server, folder):
    ruby, sidekiq = need("ruby"), need("sidekiq")
    env = environment(server)
    run(ruby, FOLDER / "sidekiq_jobs.rb", "add", env=env)
    with worker(ruby, sidekiq, "-r", FOLDER / "sidekiq_jobs.rb", "-c", "2", "-e", "production", env=env, cwd=folder), \
            server.connect() as client:
        wait_until(lambda: client.call("ZCARD", "retry") == 1, "the failed job waits for its second try", 30)
        # Sidekiq would wait for up to 10 s.
        run(ruby, FOLDER / "sidekiq_jobs.rb", "retry", env=env)
        wait_until(lambda: client.call("LLEN", "performed") == 5, "all jobs are performed", 60)
        assert sorted(client.call("LRANGE", "performed", 0, -1)) == sorted(
            [b"at once", b"scheduled", b"fails once", b"one of two", b"two of two"])
        assert [client.call("ZCARD", key) for key in ("schedule", "retry")] == [0, 0]
    # A process that ends writes its statistics.
    with server.connect() as client:
        assert [client.call("GET", f"stat:{name}") for name in ("processed", "failed")] == [b"6", b"1"]

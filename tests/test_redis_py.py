"""redis-py: pubsub objects, threads, asyncio, decoding, a restart."""

import asyncio
import threading

import pytest
import redis
import redis.asyncio

from lib.wait import seconds, wait_until


@pytest.fixture
def client(server):
    client = redis.Redis(port=server.port, socket_timeout=seconds(10))
    yield client
    client.close()


def next_message(pubsub, within=10):
    return wait_until(lambda: pubsub.get_message(timeout=0.1), "a message", within)


def test_a_pubsub_gets_confirmations_and_messages(client):
    with client.pubsub() as pubsub:
        pubsub.subscribe("a", "b")
        pubsub.psubscribe("n*")
        got = [next_message(pubsub) for _ in range(3)]
        assert [(m["type"], m["data"]) for m in got] == [("subscribe", 1), ("subscribe", 2), ("psubscribe", 3)]
        assert client.publish("a", b"\0\xff") == 1
        assert next_message(pubsub) == {"type": "message", "pattern": None, "channel": b"a", "data": b"\0\xff"}
        assert client.publish("news", "x") == 1
        assert next_message(pubsub) == {"type": "pmessage", "pattern": b"n*", "channel": b"news", "data": b"x"}
        assert dict(client.pubsub_numsub("a", "none")) == {b"a": 1, b"none": 0}
        assert client.pubsub_numpat() == 1
        assert sorted(client.pubsub_channels()) == [b"a", b"b"]
        pubsub.unsubscribe("a")
        assert next_message(pubsub)["type"] == "unsubscribe"
        assert client.publish("a", "gone") == 0
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        left = {next_message(pubsub)["type"] for _ in range(2)}
        assert left == {"unsubscribe", "punsubscribe"}
        assert not pubsub.subscribed


def test_handlers_run_in_a_thread_of_the_client(client):
    got = []
    done = threading.Event()

    def handler(message):
        got.append(message["data"])
        if len(got) == 500:
            done.set()

    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe(work=handler)
    thread = pubsub.run_in_thread(sleep_time=0.05)
    wait_until(lambda: client.pubsub_numsub("work") == [(b"work", 1)], "subscribed")
    with client.pipeline(transaction=False) as pipeline:
        for n in range(500):
            pipeline.publish("work", n)
        assert pipeline.execute() == [1] * 500
    assert done.wait(seconds(10))
    thread.stop()
    thread.join()
    assert got == [b"%d" % n for n in range(500)]


def test_decoded_responses_are_text(server):
    client = redis.Redis(port=server.port, decode_responses=True)
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("ключ")
    assert next_message_ignoring(pubsub, lambda: client.publish("ключ", "🎺")) == ("ключ", "🎺")
    pubsub.close()
    client.close()


def next_message_ignoring(pubsub, publish):
    """The first message published once the subscription stands."""
    wait_until(lambda: pubsub.get_message(timeout=0.05) is None and publish() == 1, "a subscriber")
    message = wait_until(lambda: pubsub.get_message(timeout=0.1), "a message")
    return message["channel"], message["data"]


def test_ping_on_a_subscribed_connection_is_answered(client):
    with client.pubsub() as pubsub:
        pubsub.subscribe("a")
        assert next_message(pubsub)["type"] == "subscribe"
        pubsub.ping("are you there")
        assert next_message(pubsub) == {"type": "pong", "pattern": None, "channel": None, "data": b"are you there"}


def test_the_usual_questions_are_answered_in_a_form_that_the_client_parses(client):
    assert client.ping() and client.echo("x") == b"x"
    info = client.info()
    assert info["connected_clients"] == 1 and "redis_version" in info
    assert len(client.time()) == 2
    assert client.client_setname("me") and client.client_getname() == "me"
    assert client.client_list()[0]["name"] == "me"
    assert client.client_id() == int(client.client_list()[0]["id"])
    assert client.config_get("maxclients") == {"maxclients": "10000"}
    assert client.config_set("timeout", 10) and client.config_get("timeout") == {"timeout": "10"}
    assert "publish" in client.command()
    # A busy machine may have been slow to answer COMMAND.
    assert client.config_set("slowlog-log-slower-than", -1) and client.slowlog_reset()
    assert client.slowlog_len() == 0
    with pytest.raises(redis.ResponseError, match="unknown command"):
        client.execute_command("NOSUCHCOMMAND")


def test_a_wrong_password_and_none_are_told_apart(start_server):
    server = start_server("--requirepass", "secret")
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=server.port).ping()
    with pytest.raises(redis.ResponseError, match="^WRONGPASS"):
        redis.Redis(port=server.port, password="wrong").ping()
    client = redis.Redis(port=server.port, username="default", password="secret", client_name="named")
    assert client.ping() and client.client_getname() == "named"
    client.close()


def test_a_pubsub_subscribes_again_after_a_restart(start_server):
    first = start_server()
    client = redis.Redis(port=first.port)
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("a")
    pubsub.psubscribe("p*")
    wait_until(lambda: client.pubsub_numpat() == 1, "subscribed")
    first.kill()
    again = start_server(port=first.port)
    publisher = again.connect()

    def subscribed_again():
        try:
            pubsub.get_message(timeout=0.05)
        except redis.ConnectionError:
            pass
        return publisher.call("PUBSUB", "NUMSUB", "a") == [b"a", 1] and publisher.call("PUBSUB", "NUMPAT") == 1

    wait_until(subscribed_again, "the pubsub has subscribed again")
    assert publisher.call("PUBLISH", "a", "after") == 1
    message = wait_until(lambda: pubsub.get_message(timeout=0.1), "a message")
    assert message["data"] == b"after"
    pubsub.close()
    client.close()


def test_asyncio_clients_publish_and_subscribe(server):
    async def talk():
        client = redis.asyncio.Redis(port=server.port)
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        await pubsub.subscribe("a")
        while dict(await client.pubsub_numsub("a"))[b"a"] != 1:
            await asyncio.sleep(0.01)
        for n in range(100):
            assert await client.publish("a", n) == 1
        got = []
        async for message in pubsub.listen():
            got.append(int(message["data"]))
            if len(got) == 100:
                break
        await pubsub.close()
        await client.close()
        return got

    assert asyncio.run(asyncio.wait_for(talk(), seconds(20))) == list(range(100))

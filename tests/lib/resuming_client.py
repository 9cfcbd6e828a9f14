"""redis-py that misses nothing: resuming_client.py PORT read|subscribe CHANNEL... prints `CHANNEL NUMBER` for each message and
`CHANNEL lost` where some are missing. It connects again until it is killed. The programs in tests/js and hiredis_client.c do
the same with other libraries."""

import sys
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

port, mode, *channels = sys.argv[1:]
since = dict.fromkeys(channels, b"0")


def say(channel, word):
    print(channel.decode(), word.decode(), flush=True)


def read(server):
    for channel in channels:
        if since[channel] == b"0":
            info = server.execute_command("HISTORY", "INFO", channel)
            since[channel] = dict(zip(info[::2], info[1::2]))[b"complete-since"]
    try:
        reply = server.execute_command("HISTORY", "READ", "COUNT", 50, "BLOCK", 1000, "CHANNELS", *channels,
                                       *[since[channel] for channel in channels])
    except redis.ResponseError as error:
        if not str(error).startswith("LOST"):
            raise
        for channel in channels:
            say(channel.encode(), b"lost")
            since[channel] = b"0"
        return
    for channel, messages in reply or ():
        for position, number in messages:
            say(channel, number)
            since[channel.decode()] = position


def subscribe(server):
    subscriber = server.pubsub()
    subscriber.execute_command("OUTBOX", "SET", "POSITIONS", "yes")
    subscriber.parse_response()
    wanted = channels
    while wanted:
        subscriber.execute_command("RESUME", *[word for channel in wanted for word in (channel, since[channel])])
        wanted = []
        for channel, verdict, position, _ in subscriber.parse_response():
            since[channel.decode()] = position
            if verdict == b"lost":
                say(channel, verdict)
                wanted.append(channel.decode())
    subscriber.subscribe(*channels)
    for message in subscriber.listen():
        if message["type"] == "message":
            position, _, number = message["data"].partition(b" ")
            say(message["channel"], number)
            since[message["channel"].decode()] = position


while True:
    try:
        # Without retries: a library that connects and subscribes again by itself would begin with new messages.
        with redis.Redis(port=int(port), retry=Retry(NoBackoff(), 0), retry_on_error=[]) as client:
            while True:
                (read if mode == "read" else subscribe)(client)
    except redis.ConnectionError:
        time.sleep(0.01)

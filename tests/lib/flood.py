"""Many numbered messages, and a record of what happened to each."""

from lib.resp import Push, encode

PAD = b"." * 1000


def payload(number):
    return b"%d:%s" % (number, PAD)


def flood(publisher, channel, numbers, batch=64):
    """Publishes these numbers and returns the replies."""
    replies = []
    numbers = list(numbers)
    for at in range(0, len(numbers), batch):
        part = numbers[at:at + batch]
        publisher.send(b"".join(encode("PUBLISH", channel, payload(n)) for n in part))
        replies += [publisher.read_value() for _ in part]
    return replies


class Account:
    """The messages of one subscriber; with notices, each message is received or counted as missed at its place."""

    def __init__(self, connection, notify, version=2):
        self.connection = connection
        self.notify = notify
        self.version = version
        self.received = 0
        self.lagged = 0
        self.notices = 0
        self.since_notice = 0  # messages received
        self.next_number = 0

    def take(self):
        """Reads and records one value."""
        value = self.connection.read_value()
        assert isinstance(value, Push) == (self.version == 3), value
        if value[0] == b"lagged":
            assert self.notify, "a notice that was not asked for"
            assert len(value) == 2 and value[1] > 0, value
            self.lagged += value[1]
            self.notices += 1
            self.since_notice = 0
            self.next_number += value[1]
            return
        number = int(value[-1].partition(b":")[0])
        if self.notify:
            assert number == self.next_number, f"message {number} stands where {self.next_number} should"
        else:
            assert number >= self.next_number, f"message {number} came after {self.next_number - 1}"
        self.next_number = number + 1
        self.received += 1
        self.since_notice += 1

    def take_until(self, number):
        """Reads up to and including this message, or the notice that counts it as missed."""
        while self.next_number <= number:
            self.take()

"""Browsers in the soak of history (lib/soak.py): event streams that resume by Last-Event-ID, and WebSockets that recover by
epoch and offset. What each receives is compared with what was published, as for the others."""

import base64
import bisect
import json
import os
import re
import select
import struct
import zlib

from lib.soak import GLOBS, Subscriber

EVENT = re.compile(
    rb"(?:event: (\w+)\n)?(?:data: ([^\n]*)\n)?(?:id: (\d+)-(\d+)\n)?(?:data: ([^\n]*)\n)?\n")
HEAD = re.compile(rb"HTTP/1\.1 200 OK\r\n.*?\r\n\r\nretry: \d+\n", re.DOTALL)
RAW = re.compile(rb"(\d+):(x*)")
JSON = re.compile(rb'\{"channel":"([^"]*)","data":"(\d+):(x*)","seq":(\d+)\}')

PUSH = re.compile(
    rb'\{"push":\{"channel":"([^"]*)","pub":\{"data":"(\d+):(x*)","offset":(\d+),'
    rb'"tags":\{(?:"channel":"([^"]*)",)?"type":"text"(?:,"channel":"([^"]*)")?\}\}\}\}')
LAGGED = re.compile(rb'\{"push":\{"lagged":\{"missed":(\d+)\}\}\}')
MASK = b"\0\0\0\0"


def frame_of(text):
    """A masked text frame of a client."""
    size = len(text)
    head = bytes([0x81, 0x80 | size]) if size < 126 else struct.pack(">BBH", 0x81, 0x80 | 126, size)
    return head + MASK + text


class Browser(Subscriber):
    """What both kinds have in common. `state` is idle, connecting, joining (the request was sent) or live."""

    def draw_names(self):
        """One or three channels, one or two globs, or a channel and a glob."""
        draw = self.soak.draw
        channels, globs = draw.choice(((1, 0), (1, 0), (3, 0), (0, 1), (0, 2), (1, 1)))
        return draw.sample(self.soak.truth.channels, channels) + draw.sample(GLOBS, globs)

    @property
    def address(self):
        return self.soak.browsers_address

    def begin_request(self, request):
        self.soak.watch(self, select.EPOLLIN)
        self.held.clear()
        self.state = "joining"
        self.send(request)

    def reset(self):
        """What a page does that is loaded anew."""
        self.close()

    def parse(self, at):
        """Takes one thing from self.held[at:]; where it ends, or None if it has not come yet."""
        raise NotImplementedError

    def read(self):
        data = self.receive()
        if data is None:
            return
        if not data:
            self.closed_by_server()
            return
        self.held += data
        at = 0
        while self.socket is not None and at < len(self.held):
            end = self.parse(at)
            if end is None:
                break
            at = end
        if self.socket is not None:
            del self.held[:at]


class Stream(Browser):
    """An EventSource. One position, its Last-Event-ID, resumes all of its channels and globs."""

    def __init__(self, soak, number):
        super().__init__(soak, number)
        self.names = self.draw_names()
        self.is_glob = False
        self.is_json = soak.draw.random() < 0.5
        self.loose = {}     # channel: up to which message it may begin, after "reload"
        self.has_id = False
        self.lost = None    # the names of a "reload", until the first id
        # What two names would have brought, and neither did, counts as missed twice. And a channel that was lost begins
        # again before the client knows: a mark may count messages of the time between.
        self.may_be_told_more = any(len(names) > 1 for names in self.covered().values())

    def connected(self):
        fields = "&".join(f"{'pattern' if name in GLOBS else 'channel'}={name.decode().replace('?', '%3F')}" for name in self.names)
        request = f"GET /sse?{fields}&format={'json' if self.is_json else 'raw'} HTTP/1.1\r\nHost: soak\r\n"
        if self.has_id:
            request += f"Last-Event-ID: {self.soak.epoch}-{self.seen}\r\n"
        self.lost = [] if self.has_id else self.names
        self.begin_request(request.encode() + b"\r\n")

    def covered(self):
        """The channels that it receives, and the names through which."""
        covered = {}
        for name in self.names:
            for channel in self.soak.truth.matching(name) if name in GLOBS else [name]:
                covered.setdefault(channel, []).append(name)
        return covered

    def parse(self, at):
        if self.state == "joining":
            head = HEAD.match(self.held, at)
            if head is None:
                if len(self.held) > 2000:
                    self.wrong(f"no head of a stream: {bytes(self.held[:300])!r}")
                    self.close()
                return None
            self.state = "begins"
            return head.end()
        found = EVENT.match(self.held, at)
        if found is None:
            if b"\n\n" in self.held[at:]:
                self.wrong(f"no event: {bytes(self.held[at:at + 300])!r}")
                self.close()
            return None
        self.event(*found.groups())
        return found.end()

    def event(self, kind, early, epoch, seq, late):
        data = early if early is not None else late
        if kind == b"lagged":
            self.lagged(json.loads(data))
        elif data is None:
            self.position(int(epoch), int(seq))
        elif self.state != "live":
            self.wrong(f"a message before the first id: {data[:80]!r}")
        else:
            self.data(data, int(epoch), int(seq))

    def lagged(self, told):
        if "missed" in told:
            self.marked += told["missed"]
            self.soak.count["lagged marks of streams"] += 1
        elif self.state == "begins" and told["reload"]:
            self.lost = [name.encode() for name in told["channels"]]
            self.soak.count["streams told to reload"] += 1
        else:
            self.wrong(f"lagged: {told}")

    def position(self, epoch, seq):
        if epoch != self.soak.epoch or seq < self.seen:
            self.wrong(f"the position {epoch}-{seq} after {self.seen}")
        elif self.state == "begins":
            self.begin_at(seq)
        else:
            self.skip_to(seq)
            self.seen = seq

    def begin_at(self, seq):
        """The first id: where everything goes on that is not lost."""
        truth = self.soak.truth
        self.soak.count["streams resumed" if self.has_id and not self.lost else "streams begun"] += 1
        for channel, names in self.covered().items():
            if channel in self.next and not all(name in self.lost for name in names):
                continue
            self.next.pop(channel, None)
            self.loose.pop(channel, None)
            if self.has_id:
                self.loose[channel] = truth.base + truth.count
                self.may_be_told_more = True
            else:
                self.next[channel] = bisect.bisect_right(truth.of_channel[channel], seq)
        self.skip_to(seq)
        self.seen, self.has_id, self.state = seq, True, "live"

    def tighten(self, channel, seq):
        """A channel that was lost begins with a message of the time of its subscription, at the latest."""
        published = self.soak.truth.of_channel[channel]
        latest = bisect.bisect_right(published, self.loose.pop(channel))
        self.next[channel] = min(bisect.bisect_left(published, seq), latest)

    def data(self, data, epoch, seq):
        truth = self.soak.truth
        found = (JSON if self.is_json else RAW).fullmatch(data)
        if found is None:
            self.wrong(f"not a message: {data[:80]!r}")
            return
        counter = int(found.group(2 if self.is_json else 1))
        channel = found.group(1) if self.is_json else truth.channel_of[counter - 1]
        if self.is_json and int(found.group(4)) != seq:
            self.wrong(f"seq {found.group(4)!r} in an event with the id {seq}")
        if channel in self.loose:
            self.tighten(channel, seq)
        self.message(channel, epoch, seq, counter, len(found.group(3 if self.is_json else 2)))
        self.soak.count["delivered to streams"] += 1

    def skip_to(self, seq):
        for channel in [channel for channel, latest in self.loose.items() if latest <= seq]:
            self.tighten(channel, seq + 1)
        super().skip_to(seq)

    def is_settled(self):
        truth = self.soak.truth.of_channel
        left = sum(len(truth[channel]) - at for channel, at in self.next.items())
        return self.state == "live" and not self.loose and (self.marked == left or self.may_be_told_more and self.marked > left)

    def channels(self):
        return list(self.next) or list(self.covered())

    def __repr__(self):
        truth = self.soak.truth.of_channel
        left = {channel: len(truth[channel]) - at for channel, at in self.next.items() if len(truth[channel]) > at}
        return (f"stream {self.number} ({self.names}, {'json' if self.is_json else 'raw'}, {self.state}, {self.marked} marked, "
                f"{left} missing)")


class Track:
    """One subscription of a WebSocket."""

    def __init__(self, name, shown, channels):
        self.name, self.shown, self.channels = name, shown, channels
        self.next = None  # channel: index of the next message; None: it has not begun
        self.seen = 0
        self.is_live = False


class Socket(Browser):
    """A WebSocket of which each subscription has its own offset."""

    def __init__(self, soak, number):
        super().__init__(soak, number)
        self.is_glob = False
        self.tracks = {}
        for name in self.draw_names():
            is_glob = name in GLOBS
            shown = b"glob:" + name if is_glob else name
            self.tracks[shown] = Track(name, shown, soak.truth.matching(name) if is_glob else [name])
        self.deflates = soak.draw.random() < 0.5
        self.asked = {}

    def connected(self):
        key = base64.b64encode(os.urandom(16)).decode()
        request = ("GET /ws HTTP/1.1\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n")
        if self.deflates:
            request += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        self.begin_request(request.encode() + b"\r\n")

    def joined(self):
        commands = [{"id": 1, "connect": {}}]
        self.asked = {}
        for number, track in enumerate(self.tracks.values(), 2):
            wish = {"channel": track.shown.decode()}
            if track.next is not None:
                wish.update(recover=True, epoch=str(self.soak.epoch), offset=track.seen)
            commands.append({"id": number, "subscribe": wish})
            self.asked[number] = track
        self.send(frame_of("\n".join(map(json.dumps, commands)).encode()))

    def parse(self, at):
        if self.state == "joining":
            end = self.held.find(b"\r\n\r\n", at)
            if end < 0:
                return None
            if not self.held.startswith(b"HTTP/1.1 101 "):
                self.wrong(f"no WebSocket: {bytes(self.held[:300])!r}")
                self.close()
                return None
            self.state = "begins"
            self.joined()
            return end + 4
        if len(self.held) < at + 2:
            return None
        first, size = self.held[at], self.held[at + 1]
        at += 2
        if size > 125:
            form, more = (">H", 2) if size == 126 else (">Q", 8)
            if len(self.held) < at + more:
                return None
            size, = struct.unpack_from(form, self.held, at)
            at += more
        if len(self.held) < at + size:
            return None
        self.frame(first, bytes(self.held[at:at + size]))
        return at + size

    def frame(self, first, payload):
        if first & 0x40:
            self.soak.count["compressed"] += 1
            payload = zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")
        if first & 0x0f == 8:
            self.soak.count[f"close {struct.unpack('>H', payload[:2])[0]}"] += 1
        elif first & 0xbf != 0x81:
            self.wrong(f"a frame that begins with {first:x}")
        elif (found := PUSH.fullmatch(payload)) is not None:
            self.push(found)
        elif (found := LAGGED.fullmatch(payload)) is not None:
            self.marked += int(found.group(1))
            self.soak.count["lagged marks of sockets"] += 1
        elif payload == b"{}":
            self.send(frame_of(b"{}"))
        else:
            self.answer(json.loads(payload))

    def push(self, found):
        shown, counter, rest, offset, early, late = found.groups()
        track = self.tracks.get(shown)
        if track is None or not track.is_live:
            self.wrong(f"a message of {shown!r}, which is not subscribed to")
            return
        self.take_one(track, early or late or shown, int(offset), int(counter), len(rest))

    def take_one(self, track, channel, seq, counter, length):
        """The checks of one message are those of a subscriber with this subscription alone."""
        self.next, self.seen = track.next, track.seen
        state, self.state = self.state, "live"
        self.message(channel, self.soak.epoch, seq, counter, length)
        self.state, track.seen = state, self.seen
        self.soak.count["delivered to sockets"] += 1

    def answer(self, reply):
        track = self.asked.pop(reply.get("id"), None)
        if "connect" in reply:
            return
        if track is None or "subscribe" not in reply:
            self.wrong(f"unexpected {reply}")
            return
        result = reply["subscribe"]
        if result["epoch"] != str(self.soak.epoch):
            self.wrong(f"unexpected {result}")
        elif result.get("recovered"):
            self.recovered(track, result)
        else:
            self.begin_track(track, result)
        track.is_live = True
        if not self.asked:
            self.state = "live"

    def recovered(self, track, result):
        self.soak.count["sockets recovered"] += 1
        for publication in result.get("publications", ()):
            counter, _, rest = publication["data"].partition(":")
            channel = publication["tags"].get("channel", track.name.decode()).encode()
            self.take_one(track, channel, publication["offset"], int(counter), len(rest))
        if result["offset"] < track.seen:
            self.wrong(f"the offset {result['offset']} after {track.seen}")
        self.skip_track(track, result["offset"])
        track.seen = result["offset"]

    def begin_track(self, track, result):
        self.soak.count["sockets not recovered" if result.get("was_recovering") else "sockets begun"] += 1
        if "publications" in result:
            self.wrong("publications of a subscription that is not recovered")
        published = self.soak.truth.of_channel
        track.seen = result["offset"]
        track.next = {channel: bisect.bisect_right(published[channel], track.seen) for channel in track.channels}

    def skip_track(self, track, seq):
        self.next = track.next
        self.skip_to(seq)

    def forget(self):
        for track in self.tracks.values():
            track.is_live = False
            if track.next is not None:
                self.skip_track(track, track.seen)
        self.marked = 0
        self.asked = {}

    def is_settled(self):
        truth = self.soak.truth.of_channel
        return self.state == "live" and self.marked == sum(
            len(truth[channel]) - at for track in self.tracks.values() for channel, at in track.next.items())

    def channels(self):
        return [channel for track in self.tracks.values() for channel in track.channels]

    def __repr__(self):
        return f"socket {self.number} ({list(self.tracks)}, {self.state})"

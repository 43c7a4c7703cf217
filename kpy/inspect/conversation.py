"""The two byte streams of one connection to requests with their replies.

`Matcher` pairs them by correlation id, whichever of the two is seen first. `Conversation` divides the streams into
frames for it. A side that does not begin at a frame, because the capture began later or has a hole, is searched: for
a request that decodes wholly, and on the broker's side for a reply that decodes wholly as the reply to a request that
has none yet. What is skipped on the way is reported, and not shown, since it may be the rest of a secret.
"""

import re
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from kpy.inspect.exchange import (
    FRAME_BYTES_MAX,
    SIZE_BYTES,
    Exchange,
    Frame,
    Head,
    Item,
    Problem,
    explains_request,
    explains_response,
    has_no_reply,
    may_begin_request,
    read_head,
)
from kpy.inspect.tcp import Chunk, Lost
from kpy.protocol.api_keys import ApiKey
from kpy.protocol.errors import DecodeError

CLIENT: Final = "client"
BROKER: Final = "broker"

WAITING_MAX: Final = 4096
"""Requests of a connection without a reply, and replies without a request, together."""
WAITING_BYTES_MAX: Final = 128 * 1024 * 1024
"""What they may hold. Beyond either limit the oldest is taken for one whose reply was not captured."""
FRAME_OVERHEAD_BYTES: Final = 256
SEARCHED_BYTES_MAX: Final = 256 * 1024
"""What is kept of a stream in which no frame has been found."""
SEARCHED_FOR_MAX: Final = 64
"""Replies that are searched for at a time."""

NO_REPLY: Final = "acks=0: no reply is sent"
NO_REPLY_CAPTURED: Final = "no reply was captured"

# A size up to 117 MB, an API key, a version, a correlation id, and a client id that is null or of up to 511 bytes.
_LOOKS_LIKE_REQUEST = re.compile(
    rb"(?=[\x00-\x06].{3}\x00[\x00-\x7f]\x00[\x00-\x1f].{4}(?:\xff\xff|[\x00\x01].))", re.DOTALL
)
_REQUEST_START_BYTES = 14
_HEAD_BYTES_LOOKED_AT = 1024
_TLS_RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")


class _Waiting(NamedTuple):
    frame: Frame
    head: Head | None


class Matcher:
    """Pairs the requests and replies of one connection."""

    def __init__(self, connection: str | None = None) -> None:
        self._connection = connection
        self._waiting: dict[int, deque[_Waiting]] = {}
        self._tokens: deque[_Waiting] = deque()
        self._early: dict[int, deque[Frame]] = {}
        self._count = 0
        self._in_tokens = False  # after SaslHandshake version 0 come frames without headers
        self.buffered_bytes = 0

    def waiting_heads(self) -> Iterator[Head]:
        """Requests without a reply, the oldest first."""
        return (queue[0].head for queue in self._waiting.values() if queue[0].head is not None)

    def awaits_token(self) -> bool:
        return bool(self._tokens)

    def expects(self, frame: Frame) -> Head | None:
        """The request that the frame may be a reply to."""
        queue = self._waiting.get(frame.correlation_id) if frame.correlation_id is not None else None
        return queue[0].head if queue else None

    def request(self, frame: Frame) -> Iterator[Item]:
        """A frame from the client."""
        try:
            head = read_head(frame.data)
            if frame.lost_bytes and frame.lost_at < (head.body or _REQUEST_START_BYTES):
                raise DecodeError("its header is not in the capture")
            if self._in_tokens and head.body is None:
                raise DecodeError("no such version")
        except DecodeError as error:
            if self._in_tokens:
                self._tokens.append(_Waiting(self._keep(frame), None))
                yield from self._make_room()
            else:
                yield self._problem(f"not a request: {error}", CLIENT, frame, frame.data)
            return
        if head.api == ApiKey.SASL_HANDSHAKE and head.version == 0:
            self._in_tokens = True
        if has_no_reply(head, frame):
            yield Exchange(self._connection, frame, head, note=NO_REPLY)
            return
        if head.correlation_id in self._early:
            yield Exchange(self._connection, frame, head, self._take_early(head.correlation_id))
            return
        self._waiting.setdefault(head.correlation_id, deque()).append(_Waiting(self._keep(frame), head))
        yield from self._make_room()

    def response(self, frame: Frame) -> Iterator[Item]:
        """A frame from the broker."""
        number = frame.correlation_id
        if frame.lost_bytes and frame.lost_at < SIZE_BYTES:
            yield self._problem("a reply whose header is not in the capture", BROKER, frame)
        elif number is not None and number in self._waiting:
            request = self._take(number)
            yield Exchange(self._connection, request.frame, request.head, frame)
        elif self._tokens:
            yield Exchange(self._connection, self._take_token(), None, frame)
        elif number is None:
            yield self._unasked(frame)
        else:
            self._early.setdefault(number, deque()).append(self._keep(frame))
            yield from self._make_room()

    def end(self) -> Iterator[Item]:
        """What is left: requests without replies, and the other way round."""
        while self._count:
            yield self._give_up_oldest()

    def _make_room(self) -> Iterator[Item]:
        while self._count > WAITING_MAX or self.buffered_bytes > WAITING_BYTES_MAX:
            yield self._give_up_oldest()

    def _give_up_oldest(self) -> Item:
        if self._waiting:
            request = self._take(next(iter(self._waiting)))
            return Exchange(self._connection, request.frame, request.head, note=NO_REPLY_CAPTURED)
        if self._tokens:
            return Exchange(self._connection, self._take_token(), None, note=NO_REPLY_CAPTURED)
        return self._unasked(self._take_early(next(iter(self._early))))

    def _keep(self, frame: Frame) -> Frame:
        self._count += 1
        self.buffered_bytes += len(frame.data) + FRAME_OVERHEAD_BYTES
        return frame

    def _release(self, frame: Frame) -> Frame:
        self._count -= 1
        self.buffered_bytes -= len(frame.data) + FRAME_OVERHEAD_BYTES
        return frame

    def _take(self, number: int) -> _Waiting:
        queue = self._waiting[number]
        request = queue.popleft()
        if not queue:
            del self._waiting[number]
        self._release(request.frame)
        return request

    def _take_token(self) -> Frame:
        return self._release(self._tokens.popleft().frame)

    def _take_early(self, number: int) -> Frame:
        queue = self._early[number]
        frame = queue.popleft()
        if not queue:
            del self._early[number]
        return self._release(frame)

    def _unasked(self, frame: Frame) -> Problem:
        reply = f"a reply of {len(frame.data)} bytes with correlation id {frame.correlation_id}"
        return self._problem(f"{reply}: its request was not captured, so it may be secret", BROKER, frame)

    def _problem(self, reason: str, side: str, frame: Frame, data: bytes = b"") -> Problem:
        return Problem(reason, self._connection, side, frame.position, frame.time_ns, data)


class Stream:
    """One side's bytes. `position` is that of the first byte in `buffer`; in step means that a frame begins there."""

    def __init__(self, *, in_step: bool) -> None:
        self.buffer = bytearray()
        self.position = 0
        self.in_step = in_step
        self.wanted_bytes = 0  # before so many are there, searching is of no use
        self.skipped = 0
        self.skipped_from = 0
        self.time_ns: int | None = None
        self._lost_at = 0
        self._lost_bytes = 0

    def frames(self) -> Iterator[Frame]:
        """The frames that are whole. Ends out of step where there can be no frame."""
        while self.in_step and (size := self.next_size()) is not None:
            if not 0 <= size <= FRAME_BYTES_MAX:
                self.in_step = False
                return
            end = SIZE_BYTES + size
            if len(self.buffer) < end:
                return
            frame = Frame(
                bytes(self.buffer[SIZE_BYTES:end]),
                self.position + SIZE_BYTES,
                self.time_ns,
                self._lost_bytes,
                self._lost_at,
            )
            self._lost_bytes = self._lost_at = 0
            self._drop(end)
            yield frame

    def next_size(self) -> int | None:
        """What the next frame says its size is, if that is there."""
        if len(self.buffer) < SIZE_BYTES:
            return None
        return int.from_bytes(self.buffer[:SIZE_BYTES], "big", signed=True)

    def lose(self, count: int) -> bool:
        """The next bytes are not there. False if a frame may begin among them: the stream is out of step then."""
        size = self.next_size() if self.in_step else None
        if size is not None and len(self.buffer) + count <= SIZE_BYTES + size <= SIZE_BYTES + FRAME_BYTES_MAX:
            if not self._lost_bytes:
                self._lost_at = len(self.buffer) - SIZE_BYTES
            self._lost_bytes += count
            self.buffer += bytes(count)
            return True
        self.skip(len(self.buffer))
        self.position += count
        self._lost_bytes = self._lost_at = 0
        self.wanted_bytes = 0
        self.in_step = False
        return False

    def skip(self, count: int) -> None:
        """These bytes belong to no frame."""
        if not self.skipped:
            self.skipped_from = self.position
        self.skipped += count
        self._drop(count)

    def _drop(self, count: int) -> None:
        del self.buffer[:count]
        self.position += count


class Conversation:
    """One connection. What it yields is complete: a request comes out when its reply has come in."""

    def __init__(self, connection: str) -> None:
        self._connection = connection
        self._matcher = Matcher(connection)
        self._streams = {CLIENT: Stream(in_step=False), BROKER: Stream(in_step=False)}

    @property
    def buffered_bytes(self) -> int:
        return self._matcher.buffered_bytes + sum(len(stream.buffer) for stream in self._streams.values())

    def begins(self, side: str) -> None:
        """The first byte from that side is the first that was ever sent."""
        self._streams[side].in_step = True

    def receive(self, side: str, what: Chunk | Lost) -> Iterator[Item]:
        """The next bytes from one side, or how many are missing."""
        stream = self._streams[side]
        if isinstance(what, Lost):
            position = stream.position + len(stream.buffer)
            was_in_step = stream.in_step
            if not stream.lose(what.size_bytes) or not was_in_step:
                yield Problem(f"{what.size_bytes} bytes are not in the capture", self._connection, side, position)
            return
        stream.buffer += what.data
        stream.time_ns = what.time_ns
        yield from self._advance(side)
        if side == CLIENT and self._streams[BROKER].buffer:
            yield from self._advance(BROKER)

    def end(self) -> Iterator[Item]:
        """Nothing more comes."""
        for side, stream in self._streams.items():
            yield from self._advance(side, at_end=True)
            stream.skip(0 if stream.in_step else len(stream.buffer))
            yield from self._skipped(side)
            if stream.buffer:
                size = stream.next_size()
                reason = f"a frame of {size} bytes, of which {len(stream.buffer) - SIZE_BYTES} were captured"
                if size is None:
                    reason = f"a frame, of whose size {len(stream.buffer)} bytes were captured"
                yield Problem(reason, self._connection, side, stream.position, stream.time_ns)
        yield from self._matcher.end()

    def _advance(self, side: str, *, at_end: bool = False) -> Iterator[Item]:
        stream = self._streams[side]
        take = self._matcher.request if side == CLIENT else self._matcher.response
        while stream.in_step or self._search(side, stream, at_end):
            yield from self._skipped(side)
            for frame in stream.frames():
                yield from take(frame)
            if stream.in_step:
                return
            yield self._out_of_step(side, stream)

    def _search(self, side: str, stream: Stream, at_end: bool) -> bool:
        """Whether a frame is found; the stream is in step then. What cannot belong to one is skipped, so that little
        is kept and searched again.
        """
        if side == CLIENT:
            start, is_whole = find_request(stream.buffer, at_end=at_end)
            stream.in_step = is_whole
            stream.skip(max(0, len(stream.buffer) - _REQUEST_START_BYTES) if start is None else start)
            return is_whole
        if len(stream.buffer) < stream.wanted_bytes and not at_end:
            return False
        start, end = find_response(stream.buffer, self._matcher.waiting_heads())
        stream.in_step = start is not None and end <= len(stream.buffer)
        if start is None:  # then the newer half is kept, since a request may come for a reply in it
            start = end = max(0, len(stream.buffer) - SEARCHED_BYTES_MAX // 2)
        if stream.in_step or len(stream.buffer) > SEARCHED_BYTES_MAX:
            stream.skip(start)
            end -= start
        stream.wanted_bytes = 0 if stream.in_step else end
        return stream.in_step

    def _out_of_step(self, side: str, stream: Stream) -> Problem:
        start = bytes(stream.buffer[:SIZE_BYTES])
        if _TLS_RECORD.match(start):
            reason = "this is TLS: what is encrypted cannot be decoded"
        else:
            reason = f"there is no frame here: its size would be {stream.next_size()}"
        stream.skip(1)
        return Problem(reason, self._connection, side, stream.position - 1, stream.time_ns, start)

    def _skipped(self, side: str) -> Iterator[Problem]:
        stream = self._streams[side]
        if stream.skipped:
            reason = f"{stream.skipped} bytes skipped, up to where a frame was found again"
            if not stream.in_step:
                reason = f"{stream.skipped} bytes skipped: no frame was found in them"
            yield Problem(reason, self._connection, side, stream.skipped_from, stream.time_ns)
            stream.skipped = 0


def find_request(buffer: bytearray, *, at_end: bool) -> tuple[int | None, bool]:
    """Where a request begins that decodes, and True; or where one may begin, more of which must come, and False."""
    for match in _LOOKS_LIKE_REQUEST.finditer(buffer):
        start = match.start()
        size = int.from_bytes(buffer[start : start + SIZE_BYTES], "big")
        end = start + SIZE_BYTES + size
        if size > FRAME_BYTES_MAX:
            continue
        if end <= len(buffer):
            if explains_request(bytes(buffer[start + SIZE_BYTES : end])):
                return start, True
        elif not at_end and may_begin_request(bytes(buffer[start + SIZE_BYTES : start + _HEAD_BYTES_LOOKED_AT])):
            return start, False
    return None, False


def find_response(buffer: bytearray, heads: Iterator[Head]) -> tuple[int | None, int]:
    """Where a reply to one of these requests begins and ends: the first that decodes, or, without any, the first that
    may become one when more has come.
    """
    first: int | None = None
    begun: int | None = None
    first_end = begun_end = 0
    for head in islice(heads, SEARCHED_FOR_MAX):
        wanted = head.correlation_id.to_bytes(4, "big", signed=True)
        at = buffer.find(wanted, SIZE_BYTES)
        while at >= 0 and (first is None or at - SIZE_BYTES < first):
            end = at + int.from_bytes(buffer[at - SIZE_BYTES : at], "big")
            if at + SIZE_BYTES <= end <= len(buffer) and explains_response(head, bytes(buffer[at:end])):
                first, first_end = at - SIZE_BYTES, end
            elif len(buffer) < end <= at + FRAME_BYTES_MAX and (begun is None or at - SIZE_BYTES < begun):
                begun, begun_end = at - SIZE_BYTES, end
            at = buffer.find(wanted, at + 1)
    return (first, first_end) if first is not None else (begun, begun_end)

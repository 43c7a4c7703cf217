"""Frames without a capture around them: requests and their replies, one after the other.

A frame is the reply to an earlier request if it has its correlation id and decodes as that reply; otherwise it is a
request, if it decodes as one. A single request may also come without the size in front of it.
"""

from collections.abc import Iterator
from typing import Final

from kpy.inspect.conversation import Matcher
from kpy.inspect.exchange import FRAME_BYTES_MAX, SIZE_BYTES, Frame, Item, explains_request, explains_response
from kpy.inspect.source import InputError, Source

BARE_BYTES_MAX: Final = 1024 * 1024


def read_frames(source: Source) -> Iterator[Item]:
    """All exchanges in a file of frames. InputError is raised, after them, where it cannot be divided any further."""
    matcher = Matcher()
    failure: InputError | None = None
    while source.peek(1):
        try:
            frame = _next_frame(source)
        except InputError as error:
            failure = error
            break
        yield from matcher.response(frame) if _is_response(matcher, frame) else matcher.request(frame)
    yield from matcher.end()
    if failure is not None:
        raise failure


def _next_frame(source: Source) -> Frame:
    position = source.position
    start = source.take(SIZE_BYTES)
    size = int.from_bytes(start, "big", signed=True)
    data = b""
    if len(start) == SIZE_BYTES and 0 <= size <= FRAME_BYTES_MAX:
        data = source.take(size)
        if len(data) == size:
            return Frame(data, position + SIZE_BYTES)
    if position == 0:
        bare = start + (data or source.take(BARE_BYTES_MAX))
        if explains_request(bare):
            return Frame(bare, 0)
    if len(start) < SIZE_BYTES:
        raise InputError(f"{len(start)} bytes at byte {position} are no frame")
    if not 0 <= size <= FRAME_BYTES_MAX:
        raise InputError(f"there is no frame at byte {position}: its size would be {size}")
    raise InputError(f"the frame at byte {position} has {size} bytes, of which {len(data)} are there")


def _is_response(matcher: Matcher, frame: Frame) -> bool:
    head = matcher.expects(frame)
    if head is not None and explains_response(head, frame.data):
        return True
    if explains_request(frame.data):
        return False
    return head is not None or matcher.awaits_token()

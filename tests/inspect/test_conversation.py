"""Requests and replies of one connection: paired, searched for, and never kept without a limit."""

from collections.abc import Iterable

import pytest

from kpy.inspect import conversation as conversation_module
from kpy.inspect.conversation import BROKER, CLIENT, Conversation, Matcher, find_request, find_response
from kpy.inspect.exchange import Exchange, Frame, Item, Problem, read_head
from kpy.inspect.tcp import Chunk
from kpy.protocol.messages.fetch import FetchableTopicResponse, FetchRequest, FetchResponse
from kpy.protocol.messages.fetch import PartitionData as FetchPartitionData
from kpy.protocol.messages.sasl_handshake import SaslHandshakeRequest
from kpy.protocol.records import build_batch
from tests.inspect.packet_builder import request_frame, response_frame
from tests.inspect.samples import TURNS, heartbeat


def frames(number: int) -> tuple[Frame, Frame]:
    request, response = heartbeat(number)
    return Frame(request[4:], 4), Frame(response[4:], 4)


def notes(items: Iterable[Item]) -> list[str | None]:
    return [item.note if isinstance(item, Exchange) else item.reason for item in items]


def test_a_reply_before_its_request() -> None:
    """A capture may have the two directions in any order."""
    request, response = frames(1)
    matcher = Matcher()

    assert list(matcher.response(response)) == []
    assert list(matcher.request(request)) == [Exchange(None, request, read_head(request.data), response)]
    assert matcher.buffered_bytes == 0


def test_the_same_correlation_id_twice() -> None:
    """Then the replies are in the order of the requests, as a broker sends them."""
    first, second = frames(1)[0], frames(1)[0]._replace(position=100)
    matcher = Matcher()
    assert [*matcher.request(first), *matcher.request(second)] == []

    found = [item for _ in range(2) for item in matcher.response(frames(1)[1])]
    assert [item.request.position for item in found if isinstance(item, Exchange)] == [4, 100]


def test_what_waits_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests, tokens and replies that nothing belongs to are let go, the oldest first."""
    monkeypatch.setattr(conversation_module, "WAITING_MAX", 3)
    matcher = Matcher()
    handshake = Frame(request_frame(SaslHandshakeRequest(mechanism="PLAIN"), 0, 99)[4:], 4)
    items = list(matcher.request(handshake))
    for number in range(5):
        items += matcher.request(Frame(b"\0ada\0secret" * 2, number))
    assert notes(items) == ["no reply was captured"] * 3
    assert len(list(matcher.end())) == 3

    matcher = Matcher()
    items = [item for number in range(5) for item in matcher.response(frames(number)[1])]
    assert all("its request was not captured" in str(note) for note in notes(items))
    assert len(items) == 2
    assert len(list(matcher.end())) == 3
    assert matcher.buffered_bytes == 0


def test_bytes_that_wait_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few large requests count as many small ones."""
    monkeypatch.setattr(conversation_module, "WAITING_BYTES_MAX", 700)
    matcher = Matcher()
    items = [item for number in range(5) for item in matcher.request(frames(number)[0])]

    assert notes(items) == ["no reply was captured"] * 3


def test_a_stream_without_frames_is_not_kept() -> None:
    """What holds no frame is let go while it comes."""
    conversation = Conversation("a to b")
    for side in (CLIENT, BROKER):
        for _ in range(20):
            assert list(conversation.receive(side, Chunk(b"noise " * 10_000, None))) == []
    assert conversation.buffered_bytes <= conversation_module.SEARCHED_BYTES_MAX + 60_000

    assert notes(conversation.end()) == [f"{20 * 60_000} bytes skipped: no frame was found in them"] * 2


def test_searching() -> None:
    """A request is found by decoding wholly; one that has begun is waited for; a reply is that of a request."""
    request, response = heartbeat(5)
    head = read_head(request[4:])

    assert find_request(bytearray(b"\0\0\0" + request), at_end=False) == (3, True)
    assert find_request(bytearray(b"\0\0\0" + request[:-1]), at_end=False) == (3, False)
    assert find_request(bytearray(b"\0\0\0" + request[:-1]), at_end=True) == (None, False)
    assert find_response(bytearray(b"\0\0\0\5" + response), iter([head])) == (4, 4 + len(response))
    assert find_response(bytearray(response[:-1]), iter([head])) == (0, len(response))
    assert find_response(bytearray(response), iter([])) == (None, 0)


def test_a_large_reply_is_waited_for() -> None:
    """A side that begins in the middle is in step again with a reply larger than what is kept of other bytes."""
    request = FetchRequest(max_wait_ms=0, min_bytes=0, topics=[])
    records = build_batch([(None, bytes(3 * conversation_module.SEARCHED_BYTES_MAX))])
    partition = FetchPartitionData(
        partition_index=0,
        error_code=0,
        high_watermark=1,
        last_stable_offset=1,
        aborted_transactions=None,
        records=records,
    )
    response = FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=[partition])])
    sent = b"the end of a frame" + response_frame(response, 11, 7)
    conversation = Conversation("a to b")
    items = list(conversation.receive(CLIENT, Chunk(request_frame(request, 11, 7), None)))
    for start in range(0, len(sent), 50_000):
        items += conversation.receive(BROKER, Chunk(sent[start : start + 50_000], None))

    assert isinstance(items[-1], Exchange)
    assert items[-1].response is not None


def test_out_of_step() -> None:
    """A size that cannot be is said, and the next frame is found."""
    conversation = Conversation("a to b")
    conversation.begins(CLIENT)
    data = TURNS[0][0] + b"\xff\xff\xff\xff" + heartbeat(5)[0]
    items = [*conversation.receive(CLIENT, Chunk(data, None)), *conversation.end()]

    problems = [item for item in items if isinstance(item, Problem)]
    assert [problem.reason for problem in problems] == [
        "there is no frame here: its size would be -1",
        "4 bytes skipped, up to where a frame was found again",
    ]
    assert {problem.position for problem in problems} == {len(TURNS[0][0])}
    assert len(items) == 4

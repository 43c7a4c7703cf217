"""Captures explained: disorder makes no difference, and what is missing is said."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.inspect import capture as capture_module
from kpy.inspect.packets import Segment
from kpy.inspect.source import InputError
from kpy.protocol.messages.fetch import FetchableTopicResponse, FetchRequest, FetchResponse, PartitionData
from kpy.protocol.records import build_batch
from tests.inspect.packet_builder import (
    ACK,
    LINK_HEADERS,
    SYN,
    attempt,
    conversation,
    explain,
    pcap,
    pcapng,
    request_frame,
    response_frame,
    segment,
)
from tests.inspect.samples import TURNS, heartbeat

REQUESTS = b"".join(request for request, _ in TURNS)
RESPONSES = b"".join(response for _, response in TURNS)
WHOLE = explain(pcap(conversation(TURNS)))


def without_times(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In the order of the requests, whichever reply was whole first."""
    kept = [
        {name: value for name, value in each.items() if name not in ("time", "response_after_ms")} for each in shown
    ]
    return sorted(kept, key=lambda each: each.get("correlation_id", -1))


def problems(shown: list[dict[str, Any]]) -> list[str]:
    return [each["problem"] for each in shown if "problem" in each]


def ids(shown: list[dict[str, Any]]) -> list[int]:
    return [each["correlation_id"] for each in shown if "problem" not in each]


def test_a_conversation() -> None:
    """Each request with its reply, the connection, the time, and how long the reply took."""
    assert ids(WHOLE) == [1, 2, 3, 4, 5]
    assert WHOLE[2] == {
        "time": "1970-01-01T00:00:03.000000Z",
        "connection": "10.0.0.1:50000 to 10.0.0.2:9092",
        "api": "Heartbeat",
        "version": 4,
        "correlation_id": 3,
        "client_id": "tester",
        "request": {"group_id": "readers", "generation_id": 3, "member_id": "ada", "group_instance_id": None},
        "response": {"throttle_time_ms": 0, "error_code": "REBALANCE_IN_PROGRESS"},
        "response_after_ms": 1.5,
    }


@pytest.mark.parametrize("link_type", LINK_HEADERS)
def test_every_form(link_type: int) -> None:
    """The same from every link layer and both kinds of file."""
    assert explain(pcap(conversation(TURNS), link_type)) == WHOLE
    assert explain(pcapng(conversation(TURNS), link_type)) == WHOLE


def cut(from_client: bool, data: bytes, cuts: list[int]) -> list[Segment]:
    return [
        segment(from_client, start, data[start:end]) for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)
    ]


@settings(max_examples=40)
@given(st.data())
def test_any_segmentation_and_order_is_explained_the_same(data: st.DataObject) -> None:
    """Split, merged, repeated and reordered segments decode to the same as one segment for each message."""
    segments = [segment(True, -1, flags=SYN), segment(False, -1, flags=SYN | ACK)]
    for from_client, sent in ((True, REQUESTS), (False, RESPONSES)):
        cuts = sorted(data.draw(st.sets(st.integers(1, len(sent) - 1), max_size=10)))
        segments += cut(from_client, sent, cuts)
    segments += data.draw(st.lists(st.sampled_from(segments), max_size=4))
    order = data.draw(st.permutations(segments))

    assert without_times(explain(pcap(order))) == without_times(WHOLE)


@settings(max_examples=60)
@given(st.binary(max_size=300), st.binary(max_size=300), st.booleans())
def test_random_bytes_never_crash(sent: bytes, answered: bytes, from_start: bool) -> None:
    """Whatever two peers say to each other, there is an answer."""
    segments = [segment(True, -1, flags=SYN), segment(False, -1, flags=SYN | ACK)] if from_start else []
    explain(pcap([*segments, segment(True, 0, sent), segment(False, 0, answered)]))


@settings(max_examples=60)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8), st.booleans())
def test_damaged_captures_never_crash(position: int, damage: bytes, is_pcapng: bool) -> None:
    """A capture with some bytes changed is explained, or refused in one line."""
    data = bytearray((pcapng if is_pcapng else pcap)(conversation(TURNS)))
    data[position : position + len(damage)] = damage
    reason = ""
    try:
        explain(bytes(data))
    except InputError as error:
        reason = str(error)

    assert "\n" not in reason


@pytest.mark.parametrize("skipped", [1, 30, 100, 200])
def test_begun_in_mid_stream(skipped: int) -> None:
    """The first request that is whole is found; what was skipped is said and not shown."""
    later = [heartbeat(number) for number in range(10, 14)]
    requests = REQUESTS[skipped:] + b"".join(request for request, _ in later)
    responses = RESPONSES[skipped:] + b"".join(response for _, response in later)
    shown = explain(pcap([segment(True, 500, requests), segment(False, 900, responses)]))

    answered = {each["correlation_id"] for each in shown if each.get("response")}
    assert answered >= {10, 11, 12, 13}
    assert "not a request" not in " ".join(problems(shown))
    assert any("bytes skipped, up to where a frame was found again" in problem for problem in problems(shown))
    assert "bytes" not in shown[0]


@pytest.mark.parametrize("talker", [True, False])
def test_begun_in_mid_stream_with_one_side_silent(talker: bool) -> None:
    """A side that says little does not keep the other from being understood while it comes."""
    turns = [heartbeat(number) for number in range(1, 40)]
    segments = []
    sent = [0, 0]
    for turn in turns:
        for side in (0, 1):
            size = 1 if talker == (side == 0) else len(turn[side])
            segments += [
                segment(side == 0, sent[side] + start, turn[side][start : start + size])
                for start in range(0, len(turn[side]), size)
            ]
            sent[side] += len(turn[side])
    shown = explain(pcap(segments))

    assert ids(shown) == list(range(1, 40))
    assert all(each["response"] for each in shown)


def test_begun_in_mid_stream_of_large_replies() -> None:
    """The few requests are understood before the many bytes of the replies are."""
    batch = build_batch([(None, bytes(100_000))])
    request = FetchRequest(max_wait_ms=0, min_bytes=0, topics=[])
    partition = PartitionData(
        partition_index=0, error_code=0, high_watermark=1, aborted_transactions=None, records=batch
    )
    response = FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=[partition])])
    turns = [(request_frame(request, 11, number), response_frame(response, 11, number)) for number in range(20)]
    segments = [
        part
        for number, turn in enumerate(turns)
        for part in (
            segment(True, number * len(turn[0]), turn[0]),
            *[
                segment(False, number * len(turn[1]) + start, turn[1][start : start + 1400])
                for start in range(0, len(turn[1]), 1400)
            ],
        )
    ]

    shown = explain(pcap(segments[30:]))
    assert ids(shown) == list(range(1, 20))
    assert all(each["response"] for each in shown if "api" in each)


def test_a_hole() -> None:
    """A request that is lost is said, and the conversation goes on behind it."""
    segments = conversation([heartbeat(number) for number in range(1, 6)])
    lost = segments.pop(4)
    shown = explain(pcap(segments))

    assert ids(shown) == [1, 3, 4, 5]
    assert f"{len(lost.payload)} bytes are not in the capture" in problems(shown)
    assert any("with correlation id 2: its request was not captured" in problem for problem in problems(shown))


def test_a_hole_inside_a_frame() -> None:
    """A frame with a hole is named with its header, and costs no other frame."""
    request = TURNS[1][0]
    start = len(TURNS[0][0])
    segments = [
        *conversation(TURNS[:1]),
        segment(True, start, request[:60]),
        segment(True, start + 70, request[70:]),
        segment(False, len(TURNS[0][1]), TURNS[1][1]),
        *[each for each in cut(True, REQUESTS, [start + len(request)]) if each.sequence != segment(True, 0).sequence],
        segment(False, len(TURNS[0][1] + TURNS[1][1]), b"".join(response for _, response in TURNS[2:])),
    ]
    shown = without_times(explain(pcap(segments)))

    assert ids(shown) == [1, 2, 3, 4, 5]
    assert shown[1]["request"] == {
        "undecoded": f"10 of {len(request) - 4} bytes are not in the capture",
        "position": start + 4,
        "bytes": request[4:60].hex(),
    }
    assert shown[1]["response"] == WHOLE[1]["response"]


def test_the_snap_length() -> None:
    """With short packets the headers still tell what was asked, and the rest is said."""
    segments = [
        each._replace(cut_bytes=max(0, len(each.payload) - 40), payload=each.payload[:40])
        for each in conversation(TURNS)
    ]
    shown = explain(pcap(segments))

    assert [each["api"] for each in shown if "api" in each][:3] == ["ApiVersions", "Produce", "Heartbeat"]
    assert "bytes are not in the capture" in shown[1]["request"]["undecoded"]
    assert problems(shown)[-1].endswith("packets: cut short by the capture's snap length")


def test_a_capture_that_ends_early() -> None:
    """A request without a reply, and half a frame, are said."""
    shown = explain(pcap([*conversation([heartbeat(1)]), segment(True, len(heartbeat(1)[0]), heartbeat(2)[0])]))
    assert shown[-1]["note"] == "no reply was captured"

    shown = explain(pcap([*conversation([heartbeat(1)]), segment(True, len(heartbeat(1)[0]), heartbeat(2)[0][:9])]))
    assert problems(shown) == [f"a frame of {len(heartbeat(2)[0]) - 4} bytes, of which 5 were captured"]


def test_the_file_ends_in_a_packet() -> None:
    """What came before is explained first."""
    data = pcap(conversation(TURNS))
    shown, reason = attempt(data[:-5])

    assert ids(shown)[:4] == [1, 2, 3, 4]
    assert reason.startswith("the file ends in a packet at byte ")


def test_several_connections() -> None:
    """The same correlation ids on two connections, and one after the other on the same ports."""
    other = [
        each._replace(
            source=(each.source[0], 50001) if each.source[1] == 50000 else each.source,
            destination=(each.destination[0], 50001) if each.destination[1] == 50000 else each.destination,
        )
        for each in conversation([heartbeat(1)])
    ]
    again = [each._replace(sequence=(each.sequence + 77_777) % 2**32) for each in conversation([heartbeat(3)])]
    both = [each for pair in zip(conversation([heartbeat(1)]), other, strict=True) for each in pair]
    shown = explain(pcap(both + again))

    assert [(each["connection"][:14], each["correlation_id"]) for each in shown] == [
        ("10.0.0.1:50000", 1),
        ("10.0.0.1:50001", 1),
        ("10.0.0.1:50000", 3),
    ]


def test_tls() -> None:
    """What is encrypted is called so."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(100, 180))

    assert "this is TLS" in problems(explain(pcap(conversation([(hello, hello)]))))[0]


def test_nothing_for_this_port() -> None:
    """The ports that there are, are named."""
    with pytest.raises(InputError, match=r"goes to port 19092; the ports in it, for --port: .*9092"):
        explain(pcap(conversation(TURNS)), (19092,))
    with pytest.raises(InputError, match=r"no TCP in the capture \(1 packets: link type 105 is not known here\)"):
        explain(pcap([segment(True, 0)]).replace(b"\x01\0\0\0", b"\x69\0\0\0", 1))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that claims much and never completes it is given up; the others are not."""
    monkeypatch.setattr(capture_module, "BUFFERED_BYTES_MAX", 20_000)
    greedy = [
        each._replace(source=("10.9.9.9", 1)) for each in cut(True, b"\0\x10\0\0" + bytes(30_000), [10_000, 20_000])
    ]
    start = segment(True, -1, flags=SYN)._replace(source=("10.9.9.9", 1))
    shown = explain(pcap([start, *greedy, *conversation([heartbeat(1)])]))

    assert problems(shown)[0].startswith("given up: ")
    assert ids(shown) == [1]

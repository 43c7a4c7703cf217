"""Files of frames: requests and replies are told from each other by what they are."""

import pytest

from kpy.inspect.source import InputError
from kpy.protocol.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from tests.inspect.packet_builder import explain_frames, frame, request_frame, response_frame
from tests.inspect.samples import TURNS, heartbeat


def test_a_whole_conversation() -> None:
    """Every request comes out with its reply."""
    shown = explain_frames(b"".join(request + response for request, response in TURNS))

    assert [each["correlation_id"] for each in shown] == [1, 2, 3, 4, 5]
    assert [each["response"] is None for each in shown] == [False, False, False, True, False]


def test_pipelined() -> None:
    """All requests first, all replies behind them, in any order."""
    turns = [heartbeat(number) for number in (1, 2, 3)]
    data = b"".join(request for request, _ in turns) + b"".join(response for _, response in reversed(turns))

    assert [each["correlation_id"] for each in explain_frames(data)] == [3, 2, 1]


def test_a_request_without_its_size() -> None:
    """One request, copied from somewhere without the frame around it, is understood."""
    (shown,) = explain_frames(heartbeat(7)[0][4:])

    assert (shown["api"], shown["correlation_id"], shown["note"]) == ("Heartbeat", 7, "no reply was captured")


def test_tokens_of_the_first_sasl_version() -> None:
    """After SaslHandshake version 0 come tokens without headers: they are hidden, and it goes on behind them."""
    handshake = request_frame(SaslHandshakeRequest(mechanism="PLAIN"), 0, 1)
    answer = response_frame(SaslHandshakeResponse(error_code=0, mechanisms=["PLAIN"]), 0, 1)
    tokens = frame(b"\0ada\0lovelace") + frame(b"")
    shown = explain_frames(handshake + answer + tokens + b"".join(heartbeat(2)))

    assert [each["api"] for each in shown] == ["SaslHandshake", "SASL token", "Heartbeat"]
    assert shown[1] == {"api": "SASL token", "request": "(13 bytes, hidden)", "response": "(0 bytes, hidden)"}


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (b"\0\0", "2 bytes at byte {position} are no frame"),
        (b"\xff\xff\xff\xff", "there is no frame at byte {position}: its size would be -1"),
        (b"\0\0\0\x09abc", "the frame at byte {position} has 9 bytes, of which 3 are there"),
    ],
)
def test_a_file_that_breaks_off(rest: bytes, reason: str) -> None:
    """What was before it has been explained, and where it breaks is said."""
    with pytest.raises(InputError) as caught:
        explain_frames(b"".join(heartbeat(1)) + rest)

    assert str(caught.value) == reason.format(position=len(b"".join(heartbeat(1))))


def test_what_is_no_request() -> None:
    """A frame that nothing explains is shown as hex, with its position."""
    (shown,) = explain_frames(frame(b"\x7f\x7f\x00\x01\x00\x00\x00\x01\xff\xff"))

    assert shown == {
        "problem": "not a request: there is no API of key 32639",
        "from": "client",
        "position": 4,
        "bytes": "7f7f000100000001ffff",
    }

"""Error codes and the exception that carries one."""

import struct

from kpy.protocol.errors import ErrorCode, KafkaError


def test_codes_are_numbers() -> None:
    """A code packs as its number, and is found by it; there are no holes, and only NONE has nothing to say."""
    assert struct.pack(">h", ErrorCode.NOT_COORDINATOR) == b"\0\x10"
    assert ErrorCode(-1) is ErrorCode.UNKNOWN_SERVER_ERROR
    assert [int(code) for code in ErrorCode] == list(range(-1, 134))
    assert [code for code in ErrorCode if not code.message] == [ErrorCode.NONE]


def test_retriable() -> None:
    """What a client may try again is Kafka's own choice, and not always obvious."""
    assert ErrorCode.NOT_LEADER_OR_FOLLOWER.retriable
    assert ErrorCode.CORRUPT_MESSAGE.retriable
    assert not ErrorCode.REBALANCE_IN_PROGRESS.retriable
    assert not ErrorCode.OFFSET_OUT_OF_RANGE.retriable


def test_message() -> None:
    """A KafkaError has the code's own line, or one that says more, an empty one too."""
    assert KafkaError(ErrorCode.INVALID_GROUP_ID).message == ErrorCode.INVALID_GROUP_ID.message
    assert KafkaError(ErrorCode.INVALID_CONFIG, "").message == ""
    error = KafkaError(ErrorCode.INVALID_CONFIG, "no such key")
    assert error.message == "no such key"
    assert str(error) == "INVALID_CONFIG: no such key"

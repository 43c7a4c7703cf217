"""AlterReplicaLogDirs: a replica is in the one directory, or there is no such directory."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from kpy.server.handlers.alter_replica_log_dirs import alter_replica_log_dirs
from tests.server.handlers.handler_context import HandlerContext


def ask(broker: HandlerContext, *places: tuple[str, str, Sequence[int]], version: int = 2) -> dict[str, dict[int, int]]:
    request = AlterReplicaLogDirsRequest(
        dirs=[
            AlterReplicaLogDir(path=path, topics=[AlterReplicaLogDirTopic(name=name, partitions=list(indexes))])
            for path, name, indexes in places
        ]
    )
    return {
        topic.topic_name: {partition.partition_index: partition.error_code for partition in topic.partitions}
        for topic in broker.call(alter_replica_log_dirs, request, version).results
    }


@pytest.mark.parametrize("version", [1, 2])
def test_every_version(broker: HandlerContext, version: int) -> None:
    """What is in the directory stays there; what does not exist cannot."""
    broker.created("t")
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert ask(broker, ("memory", "t", [0, 9, -1]), ("memory", "nope", [0]), version=version) == {
        "t": {0: ErrorCode.NONE, 9: unknown, -1: unknown},
        "nope": {0: unknown},
    }


def test_another_directory(broker: HandlerContext) -> None:
    """There is no other directory, whatever shall move there."""
    broker.created("t")
    missing = ErrorCode.LOG_DIR_NOT_FOUND
    assert ask(broker, ("/elsewhere", "t", [0, 9]), ("", "nope", [0])) == {
        "t": {0: missing, 9: missing},
        "nope": {0: missing},
    }


def test_on_disk(tmp_path: Path) -> None:
    """The directory goes by its absolute path, to the letter."""
    broker = HandlerContext(log_dirs=str(tmp_path))
    broker.created("t")
    assert ask(broker, (str(tmp_path), "t", [0])) == {"t": {0: ErrorCode.NONE}}
    assert ask(broker, (f"{tmp_path}/", "t", [0])) == {"t": {0: ErrorCode.LOG_DIR_NOT_FOUND}}


def test_two_places(broker: HandlerContext) -> None:
    """Of a partition that is named twice, the last place counts."""
    broker.created("t")
    assert ask(broker, ("/elsewhere", "t", [0]), ("memory", "t", [0])) == {"t": {0: ErrorCode.NONE}}
    assert ask(broker, ("memory", "t", [0]), ("/elsewhere", "t", [0])) == {"t": {0: ErrorCode.LOG_DIR_NOT_FOUND}}


def test_nothing(broker: HandlerContext) -> None:
    """Nothing asked for is nothing answered."""
    assert ask(broker) == {}
    assert ask(broker, ("memory", "t", [])) == {}


def test_a_name_too_long_to_move(broker: HandlerContext) -> None:
    """The directory of a copy has a longer name, which a file system must be able to take (KAFKA-4893)."""
    fits, too_long = "x" * 213, "x" * 214
    broker.created(fits, too_long)
    assert ask(broker, ("memory", fits, [0]), ("/elsewhere", too_long, [0])) == {
        fits: {0: ErrorCode.NONE},
        too_long: {0: ErrorCode.INVALID_TOPIC_EXCEPTION},
    }

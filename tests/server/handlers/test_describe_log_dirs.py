"""DescribeLogDirs: one directory, and the sizes of the partitions in it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from kpy.protocol.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
    DescribeLogDirsResult,
)
from kpy.server.handlers.describe_log_dirs import describe_log_dirs
from tests.cluster.controller_context import topic
from tests.server.handlers.handler_context import HandlerContext


def ask(
    broker: HandlerContext, places: Sequence[tuple[str, Sequence[int]]] | None, version: int = 5
) -> DescribeLogDirsResult:
    topics = (
        None
        if places is None
        else [DescribableLogDirTopic(topic=name, partitions=list(indexes)) for name, indexes in places]
    )
    (result,) = broker.call(describe_log_dirs, DescribeLogDirsRequest(topics=topics), version).results
    return result


def sizes(result: DescribeLogDirsResult) -> dict[str, dict[int, int]]:
    return {
        found.name: {partition.partition_index: partition.partition_size for partition in found.partitions}
        for found in result.topics
    }


@pytest.mark.parametrize("version", range(1, 6))
def test_every_version(broker: HandlerContext, version: int) -> None:
    """A partition has the size of its log, or none if it was never written."""
    broker.state.create(topic("t", 2))
    broker.logs.sizes["t", 1] = 170
    assert sizes(ask(broker, None, version)) == {"t": {0: 0, 1: 170}}


def test_some_partitions(broker: HandlerContext) -> None:
    """Only what is asked for and exists is described, once."""
    broker.state.create(topic("t", 2))
    assert sizes(ask(broker, [("t", [1, 9, 1]), ("nope", [0])])) == {"t": {1: 0}}
    assert sizes(ask(broker, [("t", [9])])) == {}
    assert sizes(ask(broker, [])) == {}


def test_memory_and_disk(broker: HandlerContext, tmp_path: Path) -> None:
    """In memory the sizes of the volume are unknown; on disk they are those of the directory's."""
    memory = ask(broker, [])
    assert (memory.log_dir, memory.total_bytes, memory.usable_bytes) == ("memory", -1, -1)
    disk = ask(HandlerContext(log_dirs=str(tmp_path)), [])
    assert disk.log_dir == str(tmp_path)
    assert 0 <= disk.usable_bytes < disk.total_bytes

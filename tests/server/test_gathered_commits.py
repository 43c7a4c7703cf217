"""Commits of many connections that arrive together are appended together, and each is answered for itself."""

import os
import select
from pathlib import Path

import pytest

from kpy.cluster.topic_names import CONSUMER_OFFSETS
from kpy.groups.partitioning import partition_for
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from kpy.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from kpy.server.arrivals import FEW_CONNECTIONS
from kpy.storage.partition_log import PartitionLog
from tests.server.client import (
    Client,
    Serving,
    commit_offset,
    commit_request,
    committed_offset,
    committed_request,
    make_broker,
    running,
)

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="the kernel has no epoll")

VERSION = 8
COMMITTERS = 20


def commit(partition: int, offset: int, *, generation: int = -1) -> OffsetCommitRequest:
    return commit_request("g", "t", offset, partition=partition, metadata=str(partition), generation=generation)


def write(client: Client, frame: bytes) -> None:
    """Send, and let nobody run meanwhile."""
    assert os.write(client.stream.socket.fileno(), frame) == len(frame)


class Crowd:
    """So many connections that all of these are served together, and the partition that their group lives in."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self.clients: list[Client] = []

    async def connect(self) -> None:
        self.clients = [await self._serving.connect() for _ in range(FEW_CONNECTIONS + COMMITTERS)][FEW_CONNECTIONS:]
        await self.clients[0].create_topic("t", COMMITTERS)
        assert await commit_offset(self.clients[0], "g", "t", 0) == 0

    def send_together(self, frames: list[bytes]) -> None:
        """Before the broker sees any."""
        for client, frame in zip(self.clients, frames, strict=True):
            write(client, frame)

    async def answers(self) -> list[int]:
        received = []
        for client in self.clients:
            response = await client.receive(OffsetCommitRequest, VERSION)
            assert isinstance(response, OffsetCommitResponse)
            received.append(response.topics[0].partitions[0].error_code)
        return received

    def log(self) -> PartitionLog:
        partitions = self._serving.broker.services.partitions
        return partitions.find(CONSUMER_OFFSETS, partition_for("g", 50)).log


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round ends when all is served, however long the machine takes for that."""
    monkeypatch.setattr("kpy.server.arrivals.perf_counter", lambda: 0.0)


async def test_commits_that_arrive_together_are_one_batch(tmp_path: Path) -> None:
    """All are stored and all are answered, those that are refused too; a restart finds them."""
    broker = make_broker(tmp_path)
    async with running(broker) as serving:
        crowd = Crowd(serving)
        await crowd.connect()
        end = crowd.log().end_offset
        requests = [commit(number, number, generation=7 if number == 3 else -1) for number in range(COMMITTERS)]

        crowd.send_together([client.frame(requests[number], VERSION) for number, client in enumerate(crowd.clients)])

        expected = [ErrorCode.UNKNOWN_MEMBER_ID if number == 3 else ErrorCode.NONE for number in range(COMMITTERS)]
        assert await crowd.answers() == expected
        (batch,) = crowd.log().batches(end)
        assert len(list(batch)) == COMMITTERS - 1

    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        found = [await committed_offset(client, "g", "t", number) for number in range(COMMITTERS)]
        assert found == [-1 if number == 3 else number for number in range(COMMITTERS)]


async def test_a_commit_is_part_of_what_is_asked_after_it(tmp_path: Path) -> None:
    """One that comes between others of its round is carried out before whoever asks next, and they go on after it."""
    async with running(make_broker(tmp_path)) as serving:
        crowd = Crowd(serving)
        await crowd.connect()
        first, asking, *rest = crowd.clients
        question = committed_request("g", "t", 1)

        write(first, first.frame(commit(1, 11), VERSION))
        write(asking, asking.frame(question, VERSION))
        crowd.clients = rest
        crowd.send_together([client.frame(commit(2, 22), VERSION) for client in rest])

        response = await asking.receive(OffsetFetchRequest, VERSION)
        assert isinstance(response, OffsetFetchResponse)
        assert response.groups[0].topics[0].partitions[0].committed_offset == 11
        assert set(await crowd.answers()) == {ErrorCode.NONE}
        assert await committed_offset(asking, "g", "t", 2) == 22


async def test_commits_ahead_of_each_other_on_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    """A client that does not wait for its replies is served as ever, whatever others do in the same round."""
    async with running(make_broker(tmp_path)) as serving:
        crowd = Crowd(serving)
        await crowd.connect()
        frames = [
            b"".join(client.frame(commit(number, offset), VERSION) for offset in range(5))
            for number, client in enumerate(crowd.clients)
        ]
        crowd.send_together(frames)

        for _ in range(5):
            assert set(await crowd.answers()) == {ErrorCode.NONE}
        client = crowd.clients[0]
        assert {await committed_offset(client, "g", "t", number) for number in range(COMMITTERS)} == {4}

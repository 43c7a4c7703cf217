"""What clients and coordinators meet where a disk has lost what was flushed: that much is missing, and nothing more."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kpy.protocol.crc import crc32c
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.fetch import FetchResponse
from kpy.protocol.records import CRC_START, LENGTH_END
from tests.server.client import Client, commit_offset, committed_offset, fetch_request, make_broker, running
from tests.server.test_restart import list_offset, topic_of, values

LATEST = -1


def batches_of(log: Path) -> Iterator[tuple[int, int]]:
    """Where each batch of a file begins and ends."""
    data = log.read_bytes()
    position = 0
    while position < len(data):
        end = position + LENGTH_END + int.from_bytes(data[position + 8 : position + 12], "big")
        assert crc32c(data[position + CRC_START : end]) == int.from_bytes(data[position + 17 : position + 21], "big")
        yield position, end
        position = end


def damage(log: Path, number: int) -> None:
    """Flip a bit in the last byte of a batch."""
    data = bytearray(log.read_bytes())
    data[list(batches_of(log))[number][1] - 1] ^= 4
    log.write_bytes(data)


async def fetch_error(client: Client, topic: str, offset: int) -> int:
    response = await client.ask(fetch_request(topic, offset=offset), 12, FetchResponse)
    return response.responses[0].partitions[0].error_code


async def test_fetch(tmp_path: Path) -> None:
    """An offset in a damaged range is CORRUPT_MESSAGE; what is before and behind is served, and the end stays."""
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        for number in range(5):
            await client.produce("t", f"{number}")
    damage(tmp_path / "t-0" / "00000000000000000000.log", 2)
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        assert await values(client, "t", 0) == [b"0", b"1"]
        assert await fetch_error(client, "t", 2) == ErrorCode.CORRUPT_MESSAGE
        assert await values(client, "t", 3) == [b"3", b"4"]
        assert (await list_offset(client, "t", LATEST)).offset == 5
        assert not (await client.produce("t", "more")).error_code
        assert await values(client, "t", 4) == [b"4", b"more"]


async def test_committed_offsets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A commit that was lost with its batch is the only one that is."""
    async with running(make_broker(tmp_path, offsets_topic_num_partitions="1")) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        for number in range(4):
            assert not await commit_offset(client, f"group-{number}", "t", number)
    damage(tmp_path / "__consumer_offsets-0" / "00000000000000000000.log", 1)
    async with running(make_broker(tmp_path, offsets_topic_num_partitions="1")) as serving:
        client = await serving.connect()
        found = [await committed_offset(client, f"group-{number}", "t") for number in range(4)]
    assert found == [0, -1, 2, 3]
    assert any("__consumer_offsets-0" in line and "quarantined" in line for line in caplog.messages)


async def test_cluster_metadata(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever batch of the controller's log is lost, the broker starts, says so, and has all topics but one."""
    names = {"a", "b", "c"}
    async with running(make_broker(tmp_path / "whole")) as serving:
        client = await serving.connect()
        for name in sorted(names):
            await client.create_topic(name, configs={"retention.ms": "1000000"})
            await client.produce(name, name)
    inner = Path("__cluster_metadata-0", "00000000000000000000.log")
    missing = set()
    for number, _ in enumerate(batches_of(tmp_path / "whole" / inner)):
        directory = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "whole", directory)
        damage(directory / inner, number)
        caplog.clear()
        async with running(make_broker(directory)) as serving:
            client = await serving.connect()
            known = {name for name in names if not (await topic_of(client, name))[0]}
            assert [await values(client, name) for name in sorted(known)] == [[name.encode()] for name in sorted(known)]
        assert any("__cluster_metadata-0" in line and "quarantined" in line for line in caplog.messages)
        assert len(names - known) <= 1
        missing |= names - known
    assert missing == names

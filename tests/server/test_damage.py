"""What clients and coordinators meet where a disk has lost what was flushed: that much is missing, and nothing more."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kpy.protocol.crc import crc32c
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.fetch import FetchResponse
from kpy.protocol.records import CRC_START, LENGTH_END
from kpy.storage.checkpoints import RECOVERY_POINT, decode_offsets
from tests.server.client import Client, commit_offset, committed_offset, fetch_request, make_broker, running
from tests.server.failing_files import Disk
from tests.server.test_flushing import until
from tests.server.test_restart import idempotent, list_offset, new_producer_id, topic_of, values

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


def point_on_disk(data_dir: Path, topic: str) -> int:
    """What the checkpoint says of partition 0."""
    return decode_offsets((data_dir / RECOVERY_POINT).read_bytes()).get((topic, 0), 0)


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("flushing", ["flush.messages", "flush.ms"])
async def test_a_producer_goes_on_behind_what_is_lost(tmp_path: Path, flushing: str, count: int) -> None:
    """After a kill and damage to the last batch before the recovery point, though it was the producer's only one.

    What is sent again is not stored again, what leaves a gap is refused, and the next is taken; life after life.
    """
    sequence = 0
    async with running(make_broker(tmp_path / "0")) as serving:
        client = await serving.connect()
        producer_id = await new_producer_id(client)
        await client.create_topic("t", configs={flushing: "1"})
    for life in range(3):
        data_dir = tmp_path / f"{life}"
        async with running(make_broker(data_dir)) as serving:
            client = await serving.connect()
            if life:
                for again in range(sequence - count, sequence):
                    assert await idempotent(client, producer_id, again, f"{again}") == (0, again)
                gap = await idempotent(client, producer_id, sequence + 1, "gap")
                assert gap[0] == ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
            for _ in range(count):
                assert await idempotent(client, producer_id, sequence, f"{sequence}") == (0, sequence)
                sequence += 1
            stored = serving.broker.services.partitions.find("t", 0).log
            await until(lambda: stored.recovery_point == sequence)  # noqa: B023 - waited for here
            await serving.broker.services.checkpoints.secure_all()
            await serving.broker.services.checkpoints.write()
            assert point_on_disk(data_dir, "t") == sequence
            shutil.copytree(data_dir, tmp_path / f"{life + 1}")
        log = max((tmp_path / f"{life + 1}" / "t-0").glob("*.log"))
        damage(log, -1)


async def test_a_snapshot_of_producers_is_taken_for_a_checkpoint_only(tmp_path: Path) -> None:
    """Not for each flush, nor where nothing is flushed; those that newer ones outdate go, and a stop leaves one."""
    async with running(make_broker(tmp_path, log_flush_offset_checkpoint_interval_ms="10")) as serving:
        client = await serving.connect()
        producer_id = await new_producer_id(client)
        await client.create_topic("t", configs={"flush.messages": "1"})
        await client.create_topic("lazy")
        for sequence in range(20):
            assert await idempotent(client, producer_id, sequence, f"{sequence}") == (0, sequence)
            if sequence % 5 == 0:
                await until(lambda: point_on_disk(tmp_path, "t") == sequence + 1)  # noqa: B023 - waited for here
        assert await idempotent(client, producer_id, 0, "v", topic="lazy") == (0, 0)
        await until(lambda: point_on_disk(tmp_path, "t") == 20)
        assert 1 <= len(list((tmp_path / "t-0").glob("*.snapshot"))) <= 3
        assert list((tmp_path / "lazy-0").glob("*.snapshot")) == []
        assert point_on_disk(tmp_path, "lazy") == 0
    assert [path.name for path in (tmp_path / "t-0").glob("*.snapshot")] == [f"{20:020}.snapshot"]


async def test_no_checkpoint_says_more_than_is_known_of_producers(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """While a snapshot cannot be written the old recovery point stays, and then it follows."""
    async with running(make_broker(tmp_path, log_flush_offset_checkpoint_interval_ms="10")) as serving:
        client = await serving.connect()
        producer_id = await new_producer_id(client)
        for topic in ("t", "other"):
            await client.create_topic(topic, configs={"flush.messages": "1"})
        disk.refuses = lambda operation, path: operation == "sync" and "t-0/" in path and ".snapshot" in path
        for topic in ("t", "other"):
            assert await idempotent(client, producer_id, 0, "v", topic=topic) == (0, 0)
        await until(lambda: point_on_disk(tmp_path, "other") == 1)
        await until(lambda: "t-0: cannot write what is known of its producers" in caplog.text)
        assert point_on_disk(tmp_path, "t") == 0
        disk.refuses = lambda operation, path: False
        await until(lambda: point_on_disk(tmp_path, "t") == 1)


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

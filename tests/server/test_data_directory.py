"""Whose data directory it is, is known before it is touched, and what is wrong with it is one line."""

import errno
import re
from pathlib import Path

import pytest
import trio

from kpy.config import BrokerConfig
from kpy.server import machine
from kpy.server.broker import Broker, ShutdownError, StartupError
from kpy.server.data_directory import memory_max_bytes, open_files_max
from tests.server.client import PATIENCE_SECONDS, make_broker, running
from tests.server.failing_files import Disk, refuse_writing

CLEAN_MARKER = ".kafka_cleanshutdown"


async def start_and_stop(broker: Broker) -> str:
    """The cluster id."""
    async with running(broker):
        return broker.services.cluster.image.cluster_id


async def refusal(broker: Broker) -> str:
    """Why the broker does not start."""
    with pytest.raises(StartupError) as caught, trio.fail_after(PATIENCE_SECONDS):
        await broker.run()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("node.id=1", "node.id=7", "belongs to node.id 7, not 1"),
        ("node.id=1\n", "", "it has no node.id"),
        ("cluster.id=", "cluster.it=", "it has no cluster.id"),
        (None, "", "it has no cluster.id"),
        (None, "\0\0\0\0", "it has no cluster.id"),
    ],
)
async def test_a_directory_that_is_not_ours_is_left_as_it_was(
    tmp_path: Path, old: str | None, new: str, reason: str
) -> None:
    """One line says why; the mark of the clean shutdown is still there, and the rightful owner starts as before."""
    cluster_id = await start_and_stop(make_broker(tmp_path))
    meta = tmp_path / "meta.properties"
    text = meta.read_text()
    meta.write_text(new if old is None else text.replace(old, new))
    before = contents(tmp_path)
    assert str(tmp_path / CLEAN_MARKER) in before

    assert reason in await refusal(make_broker(tmp_path))

    assert contents(tmp_path) == before
    meta.write_text(text)
    assert await start_and_stop(make_broker(tmp_path)) == cluster_id


@pytest.mark.parametrize("name", ["bootstrap.checkpoint", "__cluster_metadata-0/quorum-state"])
async def test_a_directory_of_apache_kafka(tmp_path: Path, name: str) -> None:
    """A node's directory is left to it: its metadata log is one that kpy cannot go on with."""
    await start_and_stop(make_broker(tmp_path))
    (tmp_path / name).write_text("{}")
    before = contents(tmp_path)

    assert "belongs to a node of Apache Kafka" in await refusal(make_broker(tmp_path))

    assert contents(tmp_path) == before


async def test_a_directory_without_an_id_of_its_own_gets_one(tmp_path: Path) -> None:
    """directory.id is younger than meta.properties."""
    cluster_id = await start_and_stop(make_broker(tmp_path))
    meta = tmp_path / "meta.properties"
    meta.write_text("".join(line for line in meta.read_text().splitlines(True) if not line.startswith("directory.id")))

    assert await start_and_stop(make_broker(tmp_path)) == cluster_id
    assert "directory.id=" in meta.read_text()


async def test_a_locked_directory(tmp_path: Path) -> None:
    """Another broker runs on it: that is said, and that broker goes on."""
    async with running(make_broker(tmp_path)) as serving:
        assert "another broker is running" in await refusal(make_broker(tmp_path))
        await (await serving.connect()).create_topic("t")


async def test_a_port_in_use(tmp_path: Path) -> None:
    """Nothing of the directory is touched, not even made."""
    async with running(make_broker()) as serving:
        listener = f"PLAINTEXT://{serving.broker.addresses[0]}"
        reason = await refusal(make_broker(tmp_path / "data", listeners=listener))

    assert reason == f"{serving.broker.addresses[0]} is in use by another program"
    assert not (tmp_path / "data").exists()


async def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    """It is no directory, and stays the file that it is."""
    (tmp_path / "file").write_text("precious")

    assert str(tmp_path / "file") in await refusal(make_broker(tmp_path / "file"))
    assert str(tmp_path / "file") in await refusal(make_broker(tmp_path / "file" / "below"))

    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("refused", ["meta.properties", "partition.metadata", ".log"])
async def test_a_disk_that_is_full_at_the_start(tmp_path: Path, disk: Disk, refused: str) -> None:
    """The broker does not start; when there is room again it does, as if it were the first time."""
    disk.refuses = lambda operation, path: refuse_writing(operation, path) and path.endswith(refused)
    reason = await refusal(make_broker(tmp_path))
    assert str(tmp_path) in reason

    disk.refuses = lambda operation, path: False
    await start_and_stop(make_broker(tmp_path))


async def test_a_start_that_fails_leaves_no_lock(tmp_path: Path, disk: Disk) -> None:
    """In one process, too, the next broker may have the directory at once."""
    disk.refuses = refuse_writing
    for _ in range(3):
        await refusal(make_broker(tmp_path))
    disk.refuses = lambda operation, path: False
    await start_and_stop(make_broker(tmp_path))


async def test_a_stop_that_cannot_write_says_so_and_is_not_clean(tmp_path: Path, disk: Disk) -> None:
    """The error is one line, there is no mark of a clean shutdown, and the next start has what was appended."""
    disk.error = errno.EIO
    with pytest.RaisesGroup(pytest.RaisesExc(ShutdownError, match=re.escape(str(tmp_path)))):
        async with running(make_broker(tmp_path)) as serving:
            client = await serving.connect()
            await client.create_topic("t", 2)
            await client.produce("t", "one")
            await client.produce("t", "two", partition=1)
            disk.refuses = lambda operation, path: operation == "sync" and "t-0" in path
    assert not (tmp_path / CLEAN_MARKER).exists()

    disk.refuses = lambda operation, path: False
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        assert (await client.produce("t", "more")).base_offset == 1
        assert (await client.produce("t", "more", partition=1)).base_offset == 1


def test_how_much_memory_data_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what there is, in a container of what it may have, or what it was told."""
    assert memory_max_bytes(BrokerConfig({}), 1000) == 500
    assert memory_max_bytes(BrokerConfig({"kpy.memory.max.bytes": "2000000"}), 1000) == 2_000_000
    limit, none = tmp_path / "limit", tmp_path / "none"
    monkeypatch.setattr(machine, "CGROUP_LIMITS", (str(none), str(limit)))
    of_the_machine = machine.memory_bytes()
    assert of_the_machine > 1 << 20
    none.write_text("max\n")
    limit.write_text("1048576\n")
    assert machine.memory_bytes() == 1 << 20
    limit.write_text(f"{1 << 62}\n")
    assert machine.memory_bytes() == of_the_machine


@pytest.mark.parametrize(
    ("settings", "descriptors", "expected"),
    [
        ({}, 1024, 256),
        ({}, 20_000, 5000),
        ({}, 1 << 40, 8192),
        ({}, 20, 16),
        ({"kpy.open.files.max": "100"}, 20_000, 100),
    ],
)
def test_how_many_files_stay_open(settings: dict[str, str], descriptors: int, expected: int) -> None:
    """A share of what the process may open, within reason, or what it was told."""
    assert open_files_max(BrokerConfig(settings), descriptors) == expected

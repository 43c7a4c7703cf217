import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from kpy.storage.checkpoints import RECOVERY_POINT, decode_offsets
from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import Files
from kpy.storage.log_config import LogConfig
from kpy.storage.log_directory import DirectoryLocked, LogDirectory
from kpy.storage.memory_files import MemoryFiles
from kpy.storage.partition_log import PartitionLog
from tests.storage.batches import NOW_MS, batch

FIRST, SECOND = UUID(int=1), UUID(int=2)


def append(log: PartitionLog, *values: str) -> None:
    log.append(batch(*values), leader_epoch=0, now_ms=NOW_MS)


def test_create_and_get(files: Files) -> None:
    """A log is found after it was created, also by the next process; names may have dashes and dots."""
    directory = LogDirectory.open(files)
    assert directory.get("my-topic.x", 3) is None
    append(directory.create("my-topic.x", 3, FIRST), "a")
    assert files.read("my-topic.x-3/partition.metadata") == b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ"
    directory.close()
    again = LogDirectory.open(files)
    log = again.get("my-topic.x", 3)
    assert log is not None
    assert again.logs() == {("my-topic.x", 3): log}
    assert (log.topic, log.partition, log.topic_id, log.end_offset) == ("my-topic.x", 3, FIRST, 1)


def test_lock(files: Files) -> None:
    """A second broker is told in one line that there is a first one; when that ended, it may go on."""
    directory = LogDirectory.open(files)
    with pytest.raises(DirectoryLocked, match=r"another broker is running on .*\.lock"):
        LogDirectory.open(files)
    directory.close(clean=False)
    LogDirectory.open(files).close()


def test_delete_and_create_again(files: Files) -> None:
    """A deleted and re-created topic has a new id and none of the old offsets."""
    directory = LogDirectory.open(files)
    append(directory.create("topic", 0, FIRST), "old")
    directory.delete("topic", 0)
    directory.delete("topic", 0)
    assert directory.get("topic", 0) is None
    assert not any(name.startswith("topic") for name in files.list())
    log = directory.create("topic", 0, SECOND)
    assert (log.end_offset, log.topic_id, log.size_bytes) == (0, SECOND, 0)
    append(log, "new")
    directory.close()
    again = LogDirectory.open(files).get("topic", 0)
    assert again is not None
    assert (again.end_offset, again.topic_id) == (1, SECOND)
    assert [record.value for found in again.batches(0) for record in found] == [b"new"]


def test_the_files_of_a_deleted_topic_stay_a_while(files: Files) -> None:
    """They get another name at once, and are handed over with file.delete.delay.ms of the topic."""
    directory = LogDirectory.open(files)
    directory.create("topic", 0, FIRST, LogConfig(file_delete_delay_ms=77))
    handed: list[tuple[Sequence[str], int]] = []
    directory.context.remove_later = lambda paths, delay_ms: handed.append((paths, delay_ms))
    directory.delete("topic", 0)

    [(paths, delay_ms)] = handed
    assert delay_ms == 77
    assert [name for name in files.list() if name.startswith("topic")] == list(paths)


def test_a_topic_that_was_missed(files: Files) -> None:
    """Creating a topic whose name an older one has replaces that one's log; the same topic twice is a bug."""
    directory = LogDirectory.open(files)
    append(directory.create("topic", 0, FIRST), "old")
    assert directory.create("topic", 0, SECOND).end_offset == 0
    with pytest.raises(ValueError, match="topic-0"):
        directory.create("topic", 0, SECOND)


def test_nothing_is_opened_at_the_start(files: Files) -> None:
    """After a clean shutdown a log is opened by who asks for it, and what is known of the others is not forgotten."""
    directory = LogDirectory.open(files)
    for partition in range(3):
        append(directory.create("topic", partition, FIRST), "a", "b", "c")
    log = directory.get("topic", 0)
    assert log is not None
    log.delete_records_before(2)
    directory.close(high_watermarks={("topic", 0): 3, ("topic", 1): 1, ("topic", 2): 2})

    names = ("recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "replication-offset-checkpoint")
    known = [decode_offsets(files.read(name) or b"") for name in names]
    again = LogDirectory.open(files)
    assert again.logs() == {}
    assert set(again.unopened()) == {("topic", 0), ("topic", 1), ("topic", 2)}
    again.checkpoint()
    assert [decode_offsets(files.read(name) or b"") for name in names] == known
    opened = again.get("topic", 1)
    assert opened is not None
    assert again.logs() == {("topic", 1): opened}
    again.set_aside("topic", 0)
    again.delete("topic", 2)
    assert again.unopened() == ()
    again.close(clean=False)

    after_kill = LogDirectory.open(files)
    assert set(after_kill.logs()) == {("topic", 1)}
    assert after_kill.unopened() == ()


def test_opening_after_a_clean_stop_waits_for_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log is opened for who asks for it; what an earlier stop left and is outdated may come back."""
    files = DiskFiles(tmp_path)
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, FIRST)
    synced: list[str] = []
    for _ in range(3):
        append(log, "a")
        directory.close()
        directory = LogDirectory.open(files)
        with monkeypatch.context() as patches:
            patches.setattr(DiskFiles, "sync_directory", lambda _files, path="": synced.append(path))
            found = directory.get("topic", 0)
            assert found is not None
            log = found
    assert [name for name in files.list("topic-0") if name.endswith(".snapshot")] == [f"{3:020}.snapshot"]
    assert synced == []


def test_reading_while_deleting(files: Files) -> None:
    """What was read of a log is sent whole, though its topic is deleted meanwhile."""
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, FIRST)
    append(log, "value")
    (part,) = log.read(0, 1000, up_to=1, at_least_one=True).parts
    del log
    directory.delete("topic", 0)
    assert b"value" in bytes(part.read())


def test_long_names(files: Files) -> None:
    """A topic with the longest name can be deleted."""
    directory = LogDirectory.open(files)
    directory.create("x" * 249, 0, FIRST)
    directory.delete("x" * 249, 0)
    assert not any(name.startswith("x") for name in files.list())


def test_half_deleted_and_half_created(files: Files) -> None:
    """What a kill left of a deletion is removed; what it left of a creation is not seen by the topic's next log."""
    LogDirectory.open(files).close(clean=False)
    for name in (f"topic-0.{FIRST.hex}-delete", "topic-1"):
        files.make_directory(name)
        files.open(f"{name}/00000000000000000000.log").append(batch("left"))
    directory = LogDirectory.open(files)
    assert not directory.logs()
    assert not any(name.endswith("-delete") for name in files.list())
    assert directory.create("topic", 1, FIRST).end_offset == 0
    directory.close()
    again = LogDirectory.open(files).get("topic", 1)
    assert again is not None
    assert again.end_offset == 0


def test_checkpoints(files: Files) -> None:
    """The checkpoint files are Kafka's, and say what was flushed, where logs start and what was committed."""
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, FIRST)
    append(log, "a", "b", "c")
    directory.checkpoint()
    assert files.read("recovery-point-offset-checkpoint") == b"0\n1\ntopic 0 0\n"
    assert files.read("log-start-offset-checkpoint") == b"0\n0\n"
    assert files.read("replication-offset-checkpoint") == b"0\n1\ntopic 0 3\n"
    log.delete_records_before(2)
    directory.close(high_watermarks={("topic", 0): 2})
    assert files.read("recovery-point-offset-checkpoint") == b"0\n1\ntopic 0 3\n"
    assert files.read("log-start-offset-checkpoint") == b"0\n1\ntopic 0 2\n"
    assert LogDirectory.open(files).high_watermarks == {("topic", 0): 2}


def test_log_starts_outlive_a_kill(files: Files, after_kill: Callable[[], Files]) -> None:
    """Records that were deleted stay deleted once the log starts are written, whatever happens then."""
    directory = LogDirectory.open(files)
    log = directory.create("orders", 0, UUID(int=1))
    append(log, "a", "b", "c")
    log.delete_records_before(2)
    directory.write(directory.log_start_offsets())
    again = LogDirectory.open(after_kill()).get("orders", 0)
    assert again is not None
    assert (again.log_start_offset, again.end_offset) == (2, 3)


def test_clean_shutdown_marker(files: Files, after_kill: Callable[[], Files]) -> None:
    """The marker is there while no broker runs that closed properly, and never while one runs."""
    directory = LogDirectory.open(files)
    directory.close()
    assert files.read(".kafka_cleanshutdown") == b'{"version":0,"brokerEpoch":-1}'
    directory = LogDirectory.open(files)
    assert files.read(".kafka_cleanshutdown") is None
    left = after_kill()
    assert not left.exists(".kafka_cleanshutdown")
    directory.close(clean=False)
    assert not files.exists(".kafka_cleanshutdown")


def test_corrupt_checkpoints(files: Files) -> None:
    """Checkpoints that cannot be read are ignored: everything is walked, and nothing is lost."""
    directory = LogDirectory.open(files)
    append(directory.create("topic", 0, FIRST), "a")
    directory.close(clean=False)
    for name in ("recovery-point-offset-checkpoint", "log-start-offset-checkpoint", "replication-offset-checkpoint"):
        files.replace(name, b"garbage")
    log = LogDirectory.open(files).get("topic", 0)
    assert log is not None
    assert log.end_offset == 1


def test_foreign_entries(files: Files) -> None:
    """What is no log in a data directory is left alone."""
    files.make_directory("lost+found")
    files.make_directory("notes-x")
    files.replace("file-0", b"")
    LogDirectory.open(files).close()
    assert {"lost+found", "notes-x", "file-0"} <= set(files.list())


def test_meta(files: Files) -> None:
    """meta.properties is kept; a new directory has none."""
    directory = LogDirectory.open(files)
    assert directory.meta == {}
    directory.store_meta({"version": "1", "cluster.id": "abc"})
    assert files.read("meta.properties") == b"version=1\ncluster.id=abc\n"
    directory.close()
    assert LogDirectory.open(files).meta == {"version": "1", "cluster.id": "abc"}


def test_disk_directory_is_made(tmp_path: object) -> None:
    """A data directory that is not there is made."""
    place = f"{tmp_path}/deep/down"
    LogDirectory.open(DiskFiles(place)).close()
    assert DiskFiles(place).exists("recovery-point-offset-checkpoint")


def test_quick_start() -> None:
    """An empty directory in memory opens, and gets a log, in no time that a test would notice."""
    best = 1.0
    for _ in range(5):
        started = time.perf_counter()
        LogDirectory.open(MemoryFiles()).create("topic", 0, FIRST)
        best = min(best, time.perf_counter() - started)
    assert best < 0.005


def test_deleting_many_logs_syncs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic of a thousand partitions takes the disk's latency once, when its files go, and nothing before."""
    directory = LogDirectory.open(DiskFiles(tmp_path))
    for partition in range(10):
        directory.create("topic", partition, FIRST)
    removed: list[str] = []
    remove_now = directory.context.remove_later
    directory.context.remove_later = lambda paths, delay_ms: removed.extend(paths)
    synced: list[str] = []
    monkeypatch.setattr(DiskFiles, "sync_directory", lambda self, path="": synced.append(path))

    directory.delete("topic", *range(20))
    assert synced == []
    remove_now(removed, 0)

    assert synced == [""]
    assert directory.logs() == {}
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    directory.close(clean=False)


def test_a_log_in_the_place_of_one_that_was_deleted(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """No checkpoint on the disk speaks of the old one; it is written before the new one comes, if nobody has since."""
    directory = LogDirectory.open(files)
    written: list[str] = []
    replace = type(files).replace

    def noted(self: Files, path: str, data: bytes, *, sync: bool = True) -> None:
        written.append(path)
        replace(self, path, data, sync=sync)  # type: ignore[arg-type]  # it is of that type

    append(directory.create("t", 0, FIRST), "a")
    directory.checkpoint()
    assert not directory.must_forget
    monkeypatch.setattr(type(files), "replace", noted)

    directory.delete("t", 0)
    assert directory.must_forget
    directory.create("t", 0, SECOND)
    assert RECOVERY_POINT in written
    assert not directory.must_forget

    directory.delete("t", 0)
    offsets = directory.checkpoint_offsets()
    directory.write(offsets)
    directory.checkpoint_written(offsets)
    assert not directory.must_forget
    written.clear()
    directory.create("t", 0, FIRST)
    assert RECOVERY_POINT not in written


def test_deleting_partitions_of_a_long_name(files: Files) -> None:
    """However much of the name is left in what the directories are called then, each has its own."""
    directory = LogDirectory.open(files)
    for partition in range(3):
        append(directory.create("n" * 249, partition, FIRST), "a")
    directory.delete("n" * 249, 0, 1, 2)
    assert not directory.logs()
    assert not any(name.startswith("n") for name in files.list())

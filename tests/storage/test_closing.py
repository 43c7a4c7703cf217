"""At the end every log is on the disk, by as many threads as help, and none counts as flushed before its names are."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from kpy.storage import write_back
from kpy.storage.closing import LOGS_AT_ONCE
from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import Files
from kpy.storage.log_directory import LogDirectory
from kpy.storage.partition_log import PartitionLog
from tests.server.failing_files import Disk, FailingFiles
from tests.storage.batches import NOW_MS, batch

TOPIC_ID = UUID(int=7)


def directory_of(files: Files, *, written: int, empty: int = 0) -> tuple[LogDirectory, list[PartitionLog]]:
    """Logs with a record each, and some without."""
    directory = LogDirectory.open(files)
    logs = [directory.create("t", index, TOPIC_ID) for index in range(written + empty)]
    for log in logs[:written]:
        log.append(batch("v"), leader_epoch=0, now_ms=NOW_MS)
    return directory, logs


def test_all_is_flushed_but_what_the_disk_refuses(tmp_path: Path, disk: Disk) -> None:
    """The others go on, whoever was refused is told of, and what is on the disk already is not synced again."""
    directory, logs = directory_of(FailingFiles(tmp_path), written=15, empty=5)
    logs[0].flush()
    disk.synced.clear()
    disk.refuses = lambda operation, path: operation == "sync" and "t-3/" in path
    closing = directory.closing()
    closing.run()
    assert closing.failure is not None
    assert [log.recovery_point for log in logs] == [1, 1, 1, 0] + [1] * 11 + [0] * 5
    assert len(disk.synced) == 14
    with pytest.raises(OSError, match="No space left"):
        directory.close(closing=closing)


def test_the_directory_above_is_synced_once_for_many_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the names of all of them."""
    directory, logs = directory_of(DiskFiles(tmp_path), written=2 * LOGS_AT_ONCE)
    synced: list[str] = []
    monkeypatch.setattr(DiskFiles, "sync_directory", lambda _files, path="": synced.append(path))
    directory.closing().run()
    assert synced.count("") == 2
    assert {path for path in synced if path} == {log.name for log in logs}


def test_without_the_names_nothing_is_flushed(tmp_path: Path, disk: Disk) -> None:
    """A power cut may take the directories of all logs then."""
    directory, logs = directory_of(FailingFiles(tmp_path), written=3)
    disk.refuses = lambda operation, path: operation == "sync" and not path
    closing = directory.closing()
    closing.run()
    assert closing.failure is not None
    assert [log.recovery_point for log in logs] == [0, 0, 0]


def test_threads_share_the_work(tmp_path: Path) -> None:
    """Several at once, with few descriptors, leave what one would: every log closed, and a clean shutdown."""
    directory, logs = directory_of(DiskFiles(tmp_path, open_files_max=8), written=5 * LOGS_AT_ONCE)
    closing = directory.closing()
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(closing.run) for _ in range(4)]:
            done.result()
    assert closing.failure is None
    assert all(log.recovery_point == 1 for log in logs)
    directory.close(closing=closing)
    again = LogDirectory.open(DiskFiles(tmp_path))
    assert not again.logs()  # none had to be recovered
    for log in logs:
        opened = again.get(log.topic, log.partition)
        assert opened is not None
        assert opened.end_offset == 1
    again.close(clean=False)


def test_where_the_system_cannot_begin_to_write_syncing_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but time depends on it."""
    monkeypatch.setattr(write_back, "_sync_file_range", lambda: None)
    directory, logs = directory_of(DiskFiles(tmp_path), written=3)
    directory.close()
    assert [log.recovery_point for log in logs] == [1, 1, 1]

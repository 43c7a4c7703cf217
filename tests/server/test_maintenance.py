"""Checkpoints are written and silent producers forgotten, at their intervals."""

import errno
import os
from uuid import UUID

import pytest
import trio
from trio.testing import MockClock

from kpy.config import BrokerConfig
from kpy.protocol.records import build_batch
from kpy.server.clock import TrioClock
from kpy.server.flushing import Flusher
from kpy.server.maintenance import Checkpoints, expire_producers_forever, open_logs, write_checkpoints_forever
from kpy.server.timers import Timers
from kpy.server.workers import inline
from kpy.storage.log_directory import LogDirectory
from kpy.storage.memory_files import MemoryFiles


class UnreadableFiles(MemoryFiles):
    """Files in memory of which some cannot be read."""

    unreadable: str | None = None

    def read(self, path: str) -> bytes | None:
        if self.unreadable is not None and path.startswith(self.unreadable):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(path)


START_MS = 1_700_000_000_000


async def test_a_checkpoint_keeps_the_log_start_across_a_kill(autojump_clock: MockClock) -> None:
    """What DeleteRecords removed stays removed if the process ends after the next checkpoint."""
    files = MemoryFiles()
    logs = LogDirectory.open(files)
    log = logs.create("t", 0, UUID(int=7))
    log.append_records([(b"k", b"v")] * 3, leader_epoch=0, now_ms=START_MS)
    log.delete_records_before(2)
    config = BrokerConfig({"log.flush.offset.checkpoint.interval.ms": "500"})

    with trio.move_on_after(0.6):
        await write_checkpoints_forever(Checkpoints(logs, inline, Flusher(inline, Timers(), is_durable=False)), config)
    logs.close(clean=False)

    reopened = LogDirectory.open(files).get("t", 0)
    assert reopened is not None
    assert reopened.log_start_offset == 2


async def test_all_logs_are_opened_after_the_start(caplog: pytest.LogCaptureFixture) -> None:
    """Those that nobody asks for too; one that cannot be read is said and passed over, and opened when it can be."""
    files = UnreadableFiles()
    logs = LogDirectory.open(files)
    for partition in range(3):
        logs.create("t", partition, UUID(int=7))
    logs.close()
    again = LogDirectory.open(files)
    files.unreadable = "t-1/"

    await open_logs(again)

    assert set(again.logs()) == {("t", 0), ("t", 2)}
    assert "t-1: cannot be opened now" in caplog.text
    files.unreadable = None
    assert again.get("t", 1) is not None


async def test_a_producer_is_forgotten_after_its_time_and_not_before(autojump_clock: MockClock) -> None:
    """Sequence numbers are kept as long as `producer.id.expiration.ms` says."""
    clock = TrioClock(START_MS)
    logs = LogDirectory.open(MemoryFiles())
    log = logs.create("t", 0, UUID(int=7))
    batch = build_batch([(b"k", b"v")], timestamp=clock.now_ms(), producer_id=5, producer_epoch=0, base_sequence=0)
    log.append(batch, leader_epoch=0, now_ms=clock.now_ms())
    config = BrokerConfig({"producer.id.expiration.ms": "10000", "producer.id.expiration.check.interval.ms": "1000"})

    with trio.move_on_after(9.5):
        await expire_producers_forever(logs, lambda: config, clock)
    assert 5 in log.producers.producers

    with trio.move_on_after(2):
        await expire_producers_forever(logs, lambda: config, clock)
    assert 5 not in log.producers.producers

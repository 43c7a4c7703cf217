"""How much a round of compaction does between two steps: little, and no more where batches or logs are large.

What is counted is what an event loop would be held by: calls that the interpreter makes, calls of the operating system,
and the bytes that go through a codec. What a step hands to another thread does not count.
"""

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FrameType
from uuid import UUID

import pytest

from kpy.protocol import compression
from kpy.protocol.compression import Codec, Decompressor
from kpy.protocol.records import build_batch
from kpy.storage import compaction
from kpy.storage.compaction import (
    QUICK_COMPRESSED_BYTES_MAX,
    QUICK_EXPANDED_BYTES_MAX,
    RECORDS_AT_ONCE,
    Steps,
)
from kpy.storage.disk_files import DiskFiles
from kpy.storage.log_directory import LogDirectory
from kpy.storage.memory_files import MemoryFiles
from kpy.storage.partition_log import PartitionLog
from tests.storage.batches import NOW_MS
from tests.storage.compacting import COMPACTED, a_round, new_log, stored, take_all

BUFFER_BYTES = 1 << 18
"""Half of log.cleaner.io.buffer.size."""
CALLS_MAX = 30 * RECORDS_AT_ONCE
"""A record takes fewer than 20, whichever pass looks at it."""
SYSTEM_CALLS_MAX = 20
"""What it takes to make a segment, or to rename the files of one."""
QUICK = {"fspath", "close"}
"""Of the system's module: the one asks the system nothing, the other takes less than a microsecond."""
CODEC_BYTES_MAX = 2 * (QUICK_EXPANDED_BYTES_MAX + QUICK_COMPRESSED_BYTES_MAX)


@dataclass
class Work:
    """What was done in one slice."""

    calls: int = 0
    system_calls: int = 0
    codec_bytes: int = 0


class Meter:
    """Counts the work of each slice of a round."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slices: list[Work] = []
        self._now = Work()
        decompress, expand, compress = Decompressor.decompress, compression.decompress, compression.compress

        def quick(decompressor: Decompressor, codec: int, data: bytes, max_bytes: int) -> memoryview:
            self._now.codec_bytes += len(data)
            expanded = decompress(decompressor, codec, data, max_bytes)
            self._now.codec_bytes += len(expanded)
            return expanded

        def counted(codec_call: Callable[[int, bytes], bytes], codec: int, data: bytes) -> bytes:
            made = codec_call(codec, data)
            self._now.codec_bytes += max(len(data), len(made))
            return made

        monkeypatch.setattr(Decompressor, "decompress", quick)
        monkeypatch.setattr(compaction, "decompress", partial(counted, expand))
        monkeypatch.setattr(compaction, "compress", partial(counted, compress))

    def take(self, steps: Steps[None]) -> None:
        """Take all steps."""
        result = None
        while True:
            self._now = Work()
            try:
                with self._counting():
                    step = steps.send(result)
            except StopIteration:
                return
            finally:
                self.slices.append(self._now)
            self._now = Work()
            result = None if step.call is None else step.call()

    @contextmanager
    def _counting(self) -> Iterator[None]:
        work = self._now

        def count(frame: FrameType, event: str, called: object) -> None:
            work.calls += event in {"call", "c_call"}
            if event == "c_call" and isinstance(called, BuiltinFunctionType) and called.__module__ == os.name:
                work.system_calls += called.__name__ not in QUICK

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            yield
        finally:
            sys.setprofile(before)

    def largest(self) -> Work:
        """The most of each kind that any slice did."""
        return Work(
            calls=max(work.calls for work in self.slices),
            system_calls=max(work.system_calls for work in self.slices),
            codec_bytes=max(work.codec_bytes for work in self.slices),
        )


noise = random.Random(1).randbytes


def batches(
    count: int, records: int, *, codec: Codec = Codec.NONE, key_bytes: int = 8, value: bytes | None = b"v" * 20
) -> list[bytearray]:
    """Of two of them in turn every key is the same; half of the keys are in all."""
    return [
        build_batch(
            [
                (b"%0*d" % (key_bytes, record if record % 2 else number % 2 * records + record), value)
                for record in range(records)
            ],
            codec=codec,
            timestamp=NOW_MS,
        )
        for number in range(count)
    ]


SHAPES = {
    "batches of one record": partial(batches, 1000, 1),
    "large batches": partial(batches, 2, 5000),
    "tombstones": partial(batches, 2, 3000, value=None),
    "long keys": partial(batches, 30, 2, key_bytes=100_000),
    "long values": partial(batches, 30, 10, value=bytes(50_000)),
    **{
        f"small, {codec.name}": partial(batches, 200, 20, codec=codec, value=noise(100))
        for codec in Codec
        if codec is not Codec.NONE
    },
    **{
        f"small where they are stored, {codec.name}": partial(batches, 10, 300, codec=codec, value=bytes(4000))
        for codec in Codec
        if codec is not Codec.NONE
    },
}


def filled(directory: LogDirectory, made: list[bytearray], segment_bytes: int) -> PartitionLog:
    """A log of these batches in closed segments, with one record behind them."""
    config = replace(COMPACTED, segment_bytes=segment_bytes, index_interval_bytes=4096)
    log = directory.create("topic", 0, UUID(int=7), config)
    for batch in made:
        log.append(batch, leader_epoch=0, now_ms=NOW_MS)
    behind = build_batch([(b"roll", b"")], timestamp=NOW_MS)
    log.config = replace(log.config, segment_bytes=len(behind))
    log.append(behind, leader_epoch=0, now_ms=NOW_MS)
    log.config = config
    return log


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str) -> None:
    """Whatever the batches are like, a slice does no more than what 200 records take, and what one call may."""
    log = filled(LogDirectory.open(DiskFiles(tmp_path)), SHAPES[shape](), 1 << 30)
    meter = Meter(monkeypatch)
    before = stored(log)
    meter.take(a_round(log, keys_max=10_000, buffer_bytes=BUFFER_BYTES).steps())

    largest = meter.largest()
    assert largest.calls < CALLS_MAX
    assert largest.system_calls < SYSTEM_CALLS_MAX
    assert largest.codec_bytes < CODEC_BYTES_MAX
    assert {record.key: record for record in before} == {record.key: record for record in stored(log)}


@pytest.mark.parametrize("known", [True, False], ids=["indexes in memory", "indexes on the disk"])
def test_steps_are_short_however_many_segments_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """They are looked at, and take their leave, some at a time; what has to be read of them another thread reads."""
    directory = LogDirectory.open(DiskFiles(tmp_path))
    made = batches(300, 10)
    log = filled(directory, made, len(made[0]))
    assert len(log.segments.base_offsets) == 301
    if not known:
        directory.close()
        again = LogDirectory.open(DiskFiles(tmp_path)).get("topic", 0)
        assert again is not None
        log = again
    log.config = replace(log.config, segment_bytes=1 << 20)
    meter = Meter(monkeypatch)
    meter.take(a_round(log, keys_max=10_000, buffer_bytes=BUFFER_BYTES).steps())

    assert len(log.segments.base_offsets) == 2
    largest = meter.largest()
    assert largest.calls < CALLS_MAX
    assert largest.system_calls < SYSTEM_CALLS_MAX


def test_a_large_batch_is_taken_apart_elsewhere() -> None:
    """What takes the codec long is left to a thread, and so is every access to the disk."""
    log = new_log(MemoryFiles(), segment_bytes=1 << 20)
    encoded = [(b"%d" % (number // 2), noise(100)) for number in range(2000)]
    log.append(build_batch(encoded, codec=Codec.ZSTD, timestamp=NOW_MS), leader_epoch=0, now_ms=NOW_MS)
    log.config = replace(log.config, segment_bytes=400)
    log.append(build_batch([(b"roll", b"x" * 320)], timestamp=NOW_MS), leader_epoch=0, now_ms=NOW_MS)
    steps = take_all(a_round(log, keys_max=1000).steps())
    called = [step.call.func.__name__ for step in steps if isinstance(step.call, partial)]
    assert {"decompress", "compress", "write", "finish"} < set(called)
    assert len(stored(log)) == 1001

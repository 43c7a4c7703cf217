"""What it costs to append to a log: microseconds per record, by record size, shape and codec.

    python -m benchmarks.append [--disk DIRECTORY] [--seconds N]

Batches are of about 64 KiB, as a busy producer sends them. `alike` are records of one size, as benchmarks make them;
`mixed` are of random sizes, and `alone` is a batch of one. The batch is made before, and copied for each append as
the network's receive buffer would be; that copy is measured by itself and taken off.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from kpy.protocol.compression import Codec
from kpy.protocol.records import Record, build_batch
from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import Files
from kpy.storage.log_directory import LogDirectory
from kpy.storage.memory_files import MemoryFiles

BATCH_BYTES = 64 * 1024
NOW_MS = 1_700_000_000_000
LOG_BYTES_MAX = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of batch."""

    record_bytes: int
    shape: str
    codec: Codec
    batch: bytes
    record_count: int


def cases() -> Iterator[Case]:
    """Every size, shape and codec; the payload compresses to about a half."""
    source = random.Random(1)
    for record_bytes in (1000, 100, 10):
        count = max(BATCH_BYTES // (record_bytes + 10), 1)
        for shape in ("alike", "mixed"):
            records = [
                Record(None, _payload(source, _size(source, record_bytes, shape)), timestamp=NOW_MS + number // 20)
                for number in range(count)
            ]
            for codec in Codec if record_bytes > 10 else [Codec.NONE]:
                yield Case(record_bytes, shape, codec, bytes(build_batch(records, codec=codec)), count)
    yield Case(1000, "alone", Codec.NONE, bytes(build_batch([Record(None, bytes(1000), timestamp=NOW_MS)])), 1)


def _size(source: random.Random, record_bytes: int, shape: str) -> int:
    return record_bytes if shape == "alike" else source.randint(record_bytes // 2, record_bytes * 3 // 2)


def _payload(source: random.Random, size: int) -> bytes:
    return source.randbytes(size // 2) + b"compress" * (size // 16 + 1)


def measure(act: Callable[[], object], seconds: float) -> float:
    """Seconds that one call takes: the best of several runs."""
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        for _ in range(20):
            act()
        best = min(best, (time.perf_counter() - started) / 20)
    return best


def cost(case: Case, files: Files, seconds: float) -> float:
    """Microseconds per record."""
    directory = LogDirectory.open(files)
    log = directory.create("topic", 0, UUID(int=1))
    buffer = bytearray(case.batch)
    view = memoryview(buffer)

    def append() -> None:
        nonlocal log
        buffer[:] = case.batch
        log.append(view, leader_epoch=0, now_ms=NOW_MS)
        if log.size_bytes > LOG_BYTES_MAX:
            directory.delete("topic", 0)
            log = directory.create("topic", 0, UUID(int=1))

    def copy() -> None:
        buffer[:] = case.batch

    taken = measure(append, seconds) - measure(copy, seconds / 5)
    directory.delete("topic", 0)
    directory.close(clean=False)
    return taken / case.record_count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of an append to a log, per record.")
    parser.add_argument("--disk", type=Path, help="also measure on files under this directory")
    parser.add_argument("--seconds", type=float, default=0.5, help="time for each figure")
    arguments = parser.parse_args()
    print(f"{'bytes':>6} {'shape':<6} {'codec':<7} {'records':>8} {'batch B':>8} {'memory us':>10} {'disk us':>9}")
    for case in cases():
        in_memory = cost(case, MemoryFiles(), arguments.seconds)
        on_disk = ""
        if arguments.disk:
            with tempfile.TemporaryDirectory(dir=arguments.disk) as place:
                on_disk = f"{cost(case, DiskFiles(place), arguments.seconds):9.3f}"
        print(
            f"{case.record_bytes:6} {case.shape:<6} {case.codec.name.lower():<7} {case.record_count:8}"
            f" {len(case.batch):8} {in_memory:10.3f} {on_disk:>9}"
        )


if __name__ == "__main__":
    main()

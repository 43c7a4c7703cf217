"""How long a client waits that wants nothing of a log, while the broker compacts a large one.

The log has small records with keys, in batches of all codecs in turn, and many segments. The bystander sends a
Heartbeat every millisecond, from when the topic becomes a compacted one until the broker has noted how far it is clean.
"""

import random
import time
from pathlib import Path

from benchmarks import wire
from benchmarks.brokers import RunningBroker
from benchmarks.metrics import Measurements, Metric, Scale, percentile
from benchmarks.workloads import clients
from benchmarks.workloads.bystander import beating, produce_one
from kpy.protocol.compression import Codec
from kpy.protocol.records import build_batch

ROUND = Metric("compaction of small records in all codecs", "records/s", higher_is_better=True)
ROUND_CPU = Metric("compaction of small records in all codecs, broker CPU", "us/record")
ROUND_P50 = Metric("Heartbeat of another client during compaction, p50", "us")
ROUND_P99 = Metric("Heartbeat of another client during compaction, p99", "us")
ROUND_MAX = Metric("Heartbeat of another client during compaction, longest", "us")

TOPIC = "compacted"
RECORDS_A_BATCH = 1_000
BATCHES = 100
"""Different ones, which are written again and again: so many times as many keys has the topic at most."""
KEYS = 100_000
WORDS = [b"order", b"customer", b"parcel", b"pending", b"shipped", b"returned", b"invoice", b"address"]
WORDS_A_VALUE = 14
SEGMENT_BYTES = 4 << 20
CHECK_MS = 200
ROUND_TIMEOUT_S = 600.0


def compaction(broker: RunningBroker, scale: Scale) -> Measurements:
    """One round; in memory there is no file that tells when it is over."""
    if not broker.keeps_files():
        return {}
    clients.alter_broker(broker, {"log.cleaner.backoff.ms": str(CHECK_MS)})
    clients.create_topic(
        broker,
        TOPIC,
        partitions=1,
        config={"cleanup.policy": "delete", "retention.ms": "-1", "segment.bytes": str(SEGMENT_BYTES)},
    )
    frames = [wire.produce(TOPIC, 0, batch) for batch in _batches()]
    count = max(scale.compacted_records // RECORDS_A_BATCH, len(frames))
    with wire.Connection(broker.port) as connection:
        for number in range(count):
            produce_one(connection, frames[number % len(frames)], TOPIC)
    taken_us: list[float] = []
    with beating(broker, taken_us):
        started, cpu_before = time.perf_counter(), broker.cpu_s()
        clients.alter_topic(broker, TOPIC, {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01"})
        end_offset = _await_round(broker)
        elapsed_s, cpu_s = time.perf_counter() - started, broker.cpu_s() - cpu_before
    return {
        ROUND: end_offset / elapsed_s,
        ROUND_CPU: cpu_s * 1e6 / end_offset,
        ROUND_P50: percentile(taken_us, 50),
        ROUND_P99: percentile(taken_us, 99),
        ROUND_MAX: max(taken_us),
    }


def _batches() -> list[bytes]:
    """Batches of records whose values are words and a number, as JSON or a log line would be."""
    drawn = random.Random(1)
    now_ms = time.time_ns() // 1_000_000
    return [
        bytes(
            build_batch(
                [
                    (
                        b"key-%08d" % drawn.randrange(KEYS),
                        b" ".join([*drawn.choices(WORDS, k=WORDS_A_VALUE), b"%d" % drawn.getrandbits(40)]),
                    )
                    for _ in range(RECORDS_A_BATCH)
                ],
                timestamp=now_ms,
                codec=Codec(number % len(Codec)),
            )
        )
        for number in range(BATCHES)
    ]


def _await_round(broker: RunningBroker) -> int:
    """Return when the broker has noted up to where the topic is clean, and where that is."""
    [checkpoint] = [found / "cleaner-offset-checkpoint" for found in _data_directories(broker.directory)]
    deadline = time.monotonic() + ROUND_TIMEOUT_S
    while time.monotonic() < deadline:
        if checkpoint.exists():
            for line in checkpoint.read_text().splitlines():
                if line.startswith(f"{TOPIC} 0 ") and (offset := int(line.split()[2])) > 0:
                    return offset
        time.sleep(0.02)
    raise TimeoutError(f"{TOPIC} was not compacted within {ROUND_TIMEOUT_S:g} s")


def _data_directories(directory: Path) -> list[Path]:
    return [found.parent for found in directory.rglob(f"{TOPIC}-0")]

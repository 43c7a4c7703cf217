"""How long a client waits that wants nothing of the disk, while another keeps the disk busy.

The bystander sends a Heartbeat every millisecond. Meanwhile one client reads a partition that is not in memory, or
several write to partitions of which every record is forced to disk.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks import wire
from benchmarks.brokers import RunningBroker
from benchmarks.metrics import Measurements, Metric, Scale, percentile
from benchmarks.workloads import clients

CATCH_UP = Metric("cold catch-up by one client", "MB/s", higher_is_better=True)
CATCH_UP_P50 = Metric("Heartbeat of another client during a cold catch-up, p50", "us")
CATCH_UP_P99 = Metric("Heartbeat of another client during a cold catch-up, p99", "us")
STORM = Metric("records forced to disk one by one, by four clients", "records/s", higher_is_better=True)
STORM_P50 = Metric("Heartbeat of another client meanwhile, p50", "us")
STORM_P99 = Metric("Heartbeat of another client meanwhile, p99", "us")

RECORD_BYTES = 1_000
RECORDS_PER_BATCH = 900
FETCH_BYTES = 8 << 20
CATCH_UPS = 3
WRITERS = 4
PAUSE_S = 0.001
NOT_LEADER = 6


def bystander(broker: RunningBroker, scale: Scale) -> Measurements:
    """Both, one after the other."""
    return _during_catch_up(broker, scale) | _during_storm(broker, scale)


def _during_catch_up(broker: RunningBroker, scale: Scale) -> Measurements:
    topic = "cold"
    clients.create_topic(broker, topic, partitions=1)
    batch = wire.batch([os.urandom(RECORD_BYTES)] * RECORDS_PER_BATCH, time.time_ns() // 1_000_000)
    batches = scale.cold_bytes // len(batch)
    with wire.Connection(broker.port) as connection:
        frame = wire.produce(topic, 0, batch)
        for _ in range(batches):
            _produce(connection, frame, topic)
    taken_us: list[float] = []
    elapsed_s = 0.0
    for _ in range(CATCH_UPS):
        _forget(broker, topic)
        started = time.perf_counter()
        with _beating(broker, taken_us):
            _read(broker, topic, len(batch), batches)
        elapsed_s += time.perf_counter() - started
    return {
        CATCH_UP: CATCH_UPS * batches * len(batch) / elapsed_s / 1e6,
        CATCH_UP_P50: percentile(taken_us, 50),
        CATCH_UP_P99: percentile(taken_us, 99),
    }


def _forget(broker: RunningBroker, topic: str) -> None:
    """Have the kernel drop the topic's files from its page cache; written they have to be for that."""
    for path in broker.directory.rglob(f"{topic}-0/*.log"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _read(broker: RunningBroker, topic: str, batch_bytes: int, batches: int) -> None:
    """Fetch all batches, which are of one size, and throw them away."""
    offset = 0
    with wire.Connection(broker.port) as connection:
        while offset < batches * RECORDS_PER_BATCH:
            records_bytes = connection.fetch(topic, 0, offset, FETCH_BYTES)
            if records_bytes < batch_bytes:
                raise RuntimeError(f"{records_bytes} bytes at offset {offset}")
            offset += records_bytes // batch_bytes * RECORDS_PER_BATCH


def _during_storm(broker: RunningBroker, scale: Scale) -> Measurements:
    topic = "forced"
    clients.create_topic(broker, topic, partitions=WRITERS, config={"flush.messages": "1"})
    batch = wire.batch([os.urandom(RECORD_BYTES)], time.time_ns() // 1_000_000)
    written = [0] * WRITERS
    deadline = time.perf_counter() + scale.storm_s

    def write(partition: int) -> None:
        frame = wire.produce(topic, partition, batch)
        with wire.Connection(broker.port) as connection:
            while time.perf_counter() < deadline:
                _produce(connection, frame, topic)
                written[partition] += 1

    taken_us: list[float] = []
    started = time.perf_counter()
    with _beating(broker, taken_us):
        _together([partial(write, partition) for partition in range(WRITERS)])
    elapsed_s = time.perf_counter() - started
    return {
        STORM: sum(written) / elapsed_s,
        STORM_P50: percentile(taken_us, 50),
        STORM_P99: percentile(taken_us, 99),
    }


@contextmanager
def _beating(broker: RunningBroker, taken_us: list[float]) -> Iterator[None]:
    """Heartbeats within the block, one after the other with a pause; how long each took."""
    ended = threading.Event()

    def beat() -> None:
        frame = wire.heartbeat("nobody's group")
        with wire.Connection(broker.port) as connection:
            while not ended.is_set():
                started = time.perf_counter_ns()
                connection.exchange(frame)
                taken_us.append((time.perf_counter_ns() - started) / 1e3)
                time.sleep(PAUSE_S)

    beater = threading.Thread(target=beat)
    beater.start()
    try:
        yield
    finally:
        ended.set()
        beater.join()


def _together(work: list[Callable[[], None]]) -> None:
    """All of it at once, each in a thread; the first failure is raised."""
    failures: list[Exception] = []

    def guarded(one: Callable[[], None]) -> None:
        try:
            one()
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _produce(connection: wire.Connection, frame: bytes, topic: str) -> None:
    """Until it is taken: a broker may not know for a moment that it leads a new topic."""
    deadline = time.monotonic() + clients.TIMEOUT_S
    while error := wire.produce_error(connection.exchange(frame), topic):
        if error != NOT_LEADER or time.monotonic() > deadline:
            raise RuntimeError(f"the broker refused the records with error {error}")
        time.sleep(PAUSE_S)

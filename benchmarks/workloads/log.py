"""The log: what one, four and a hundred partitions cost, old records read back, and ten thousand partitions.

The clients encode by hand and keep nothing, so that little but the broker and the kernel is measured.
"""

import os
import statistics
import time
from collections import deque

from benchmarks import wire
from benchmarks.brokers import RunningBroker
from benchmarks.metrics import Measurements, Metric, Scale
from benchmarks.workloads import clients

RECORD_BYTES = 1_000
RECORDS_A_BATCH = 100
CATCH_UP_RECORDS_A_BATCH = 1_000
AHEAD = 4
NOT_LEADER = 6
FETCH_BYTES = 8 << 20
PARTITIONS = (1, 4, 100)

COLD = Metric("catch-up, cold page cache", "MB/s", higher_is_better=True)
COLD_CPU = Metric("catch-up, cold page cache, broker CPU", "ms/MB")
WARM = Metric("catch-up, warm page cache", "MB/s", higher_is_better=True)
WARM_CPU = Metric("catch-up, warm page cache, broker CPU", "ms/MB")


def partitions(broker: RunningBroker, scale: Scale) -> Measurements:
    """Batches of 100 kB to the partitions in turn, some requests ahead of the answers; then all of it read back."""
    measured: dict[Metric, float] = {}
    for count in PARTITIONS:
        topic = f"log-{count}"
        name = f"{count} partition{'s' if count > 1 else ''}"
        clients.create_topic(broker, topic, partitions=count)
        megabytes = scale.produced_bytes / 1e6
        elapsed_s, cpu_s = produce(broker, topic, count, scale.produced_bytes, RECORDS_A_BATCH)
        measured[Metric(f"produce 1 kB records, {name}", "MB/s", higher_is_better=True)] = megabytes / elapsed_s
        measured[Metric(f"produce 1 kB records, {name}, broker CPU", "ms/MB")] = cpu_s * 1e3 / megabytes
        elapsed_s, cpu_s, read_bytes = read(broker, topic, count)
        megabytes = read_bytes / 1e6
        measured[Metric(f"fetch 1 kB records, {name}", "MB/s", higher_is_better=True)] = megabytes / elapsed_s
        measured[Metric(f"fetch 1 kB records, {name}, broker CPU", "ms/MB")] = cpu_s * 1e3 / megabytes
    return measured


def catch_up(broker: RunningBroker, scale: Scale) -> Measurements:
    """One partition read from its beginning, first with nothing of it in the page cache, then with all of it.

    The warm pass is made several times, and the median of each number taken: a JVM is slower in its first.
    """
    topic = "catch-up"
    clients.create_topic(broker, topic, partitions=1)
    produce(broker, topic, 1, scale.catch_up_bytes, CATCH_UP_RECORDS_A_BATCH)
    measured: dict[Metric, float] = {}
    if broker.keeps_files():
        drop_from_page_cache(broker)
        measured[COLD], measured[COLD_CPU] = _catch_up(broker, topic)
    rates, cpus = zip(*(_catch_up(broker, topic) for _ in range(scale.passes)), strict=True)
    return measured | {WARM: statistics.median(rates), WARM_CPU: statistics.median(cpus)}


def _catch_up(broker: RunningBroker, topic: str) -> tuple[float, float]:
    """MB a second, and the broker's CPU in ms for each."""
    elapsed_s, cpu_s, read_bytes = read(broker, topic, 1)
    return read_bytes / elapsed_s / 1e6, cpu_s * 1e9 / read_bytes


def many_partitions(broker: RunningBroker, scale: Scale) -> Measurements:
    """One topic of them, one record for each, and a clean restart."""
    topic, count = "many", scale.partitions
    name = f"{count} partitions"
    started = time.perf_counter()
    clients.create_topic(broker, topic, partitions=count)
    measured = {Metric(f"{name}: create", "s"): time.perf_counter() - started}
    elapsed_s, _ = produce(broker, topic, count, count * RECORD_BYTES, 1)
    measured[Metric(f"{name}: first record of each", "records/s", higher_is_better=True)] = count / elapsed_s
    elapsed_s, _ = produce(broker, topic, count, count * RECORD_BYTES, 1)
    measured[Metric(f"{name}: second record of each", "records/s", higher_is_better=True)] = count / elapsed_s
    measured[Metric(f"{name}: memory", "MiB")] = broker.resident_mib()
    measured[Metric(f"{name}: descriptors", "files")] = broker.descriptors()
    if not broker.keeps_files():
        return measured
    started = time.perf_counter()
    broker.stop()
    measured[Metric(f"{name}: clean stop", "s")] = time.perf_counter() - started
    started = time.perf_counter()
    broker.start()
    with wire.Connection(broker.port) as connection:
        while not _fetched(connection, topic, count - 1, 0):
            if time.perf_counter() > started + clients.TIMEOUT_S:
                raise TimeoutError(f"no record of {topic} {clients.TIMEOUT_S:g} s after the start")
            time.sleep(0.01)
    measured[Metric(f"{name}: exec to the first record read", "s")] = time.perf_counter() - started
    return measured


def produce(
    broker: RunningBroker, topic: str, count: int, size_bytes: int, records_a_batch: int
) -> tuple[float, float]:
    """Seconds, and seconds of the broker's CPU, until that many bytes of records are acknowledged."""
    batch = wire.batch([os.urandom(RECORD_BYTES)] * records_a_batch, time.time_ns() // 1_000_000)
    frames = [wire.produce(topic, partition, batch) for partition in range(count)]
    requests = size_bytes // (RECORD_BYTES * records_a_batch)
    with wire.Connection(broker.port) as connection:
        started, cpu_before = time.perf_counter(), broker.cpu_s()
        left, asked = deque(range(requests)), deque[int]()
        while left or asked:
            if left:
                asked.append(left.popleft())
                connection.send(frames[asked[-1] % count])
            if len(asked) == AHEAD or not left:
                number = asked.popleft()
                error = wire.produce_error(bytes(connection.receive()), topic)
                if error == NOT_LEADER:  # Apache Kafka names a leader a moment before that one knows of it
                    left.append(number)
                elif error:
                    raise RuntimeError(f"the broker refused a batch with error {error}")
        return time.perf_counter() - started, broker.cpu_s() - cpu_before


def read(broker: RunningBroker, topic: str, count: int) -> tuple[float, float, int]:
    """Seconds, seconds of the broker's CPU, and bytes, for all partitions from the beginning to the end in turn."""
    read_bytes = 0
    with wire.Connection(broker.port) as connection:
        started, cpu_before = time.perf_counter(), broker.cpu_s()
        for partition in range(count):
            offset = 0
            while records := _fetched(connection, topic, partition, offset):
                read_bytes += len(records)
                offset = wire.next_offset(records)
        return time.perf_counter() - started, broker.cpu_s() - cpu_before, read_bytes


def _fetched(connection: wire.Connection, topic: str, partition: int, offset: int) -> memoryview:
    connection.send(wire.fetch(topic, partition, offset, FETCH_BYTES))
    error, records = wire.fetched(connection.receive(), topic)
    if error and offset:
        raise RuntimeError(f"the broker answered a fetch from {offset} with error {error}")
    return records


def drop_from_page_cache(broker: RunningBroker) -> None:
    """Have the next reader of the broker's files read the disk."""
    for path in broker.directory.rglob("*.log"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

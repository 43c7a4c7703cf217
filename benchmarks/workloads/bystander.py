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
from benchmarks.workloads.log import NOT_LEADER, drop_from_page_cache, produce, read

CATCH_UP_P50 = Metric("Heartbeat of another client during a cold catch-up, p50", "us")
CATCH_UP_P99 = Metric("Heartbeat of another client during a cold catch-up, p99", "us")
STORM = Metric("records forced to disk one by one, by four clients", "records/s", higher_is_better=True)
STORM_P50 = Metric("Heartbeat of another client meanwhile, p50", "us")
STORM_P99 = Metric("Heartbeat of another client meanwhile, p99", "us")

RECORD_BYTES = 1_000
RECORDS_A_BATCH = 1_000
CATCH_UPS = 3
WRITERS = 4
PAUSE_S = 0.001


def bystander(broker: RunningBroker, scale: Scale) -> Measurements:
    """Both, one after the other; in memory nothing is cold, and nothing is forced to a disk."""
    return _during_catch_up(broker, scale) | _during_storm(broker, scale) if broker.keeps_files() else {}


def _during_catch_up(broker: RunningBroker, scale: Scale) -> Measurements:
    topic = "cold"
    clients.create_topic(broker, topic, partitions=1)
    produce(broker, topic, 1, scale.catch_up_bytes // CATCH_UPS, RECORDS_A_BATCH)
    taken_us: list[float] = []
    for _ in range(CATCH_UPS):
        broker.stop()  # to one that has just written it the end would not be cold
        drop_from_page_cache(broker)
        broker.start()
        _await_records(broker, topic)
        with beating(broker, taken_us):
            read(broker, topic, 1)
    return {CATCH_UP_P50: percentile(taken_us, 50), CATCH_UP_P99: percentile(taken_us, 99)}


def _await_records(broker: RunningBroker, topic: str) -> None:
    """Return when a broker that has started serves the topic."""
    deadline = time.monotonic() + clients.TIMEOUT_S
    with wire.Connection(broker.port) as connection:
        while True:
            connection.send(wire.fetch(topic, 0, 0, 1))
            error, records = wire.fetched(connection.receive(), topic)
            if records and not error:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"no record of {topic} {clients.TIMEOUT_S:g} s after the start")
            time.sleep(PAUSE_S)


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
                produce_one(connection, frame, topic)
                written[partition] += 1

    taken_us: list[float] = []
    started = time.perf_counter()
    with beating(broker, taken_us):
        _together([partial(write, partition) for partition in range(WRITERS)])
    elapsed_s = time.perf_counter() - started
    return {
        STORM: sum(written) / elapsed_s,
        STORM_P50: percentile(taken_us, 50),
        STORM_P99: percentile(taken_us, 99),
    }


@contextmanager
def beating(broker: RunningBroker, taken_us: list[float]) -> Iterator[None]:
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


def produce_one(connection: wire.Connection, frame: bytes, topic: str) -> None:
    """Until it is taken: a broker may not know for a moment that it leads a new topic."""
    deadline = time.monotonic() + clients.TIMEOUT_S
    while error := wire.produce_error(connection.exchange(frame), topic):
        if error != NOT_LEADER or time.monotonic() > deadline:
            raise RuntimeError(f"the broker refused the records with error {error}")
        time.sleep(PAUSE_S)

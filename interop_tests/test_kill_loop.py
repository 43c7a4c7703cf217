"""Producers that keep writing while the broker is killed, again and again.

On Apache Kafka two rounds have to do: its start takes some seconds each time.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from statistics import median

import pytest
from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.producer.future import FutureRecordMetadata

from interop_tests.brokers import Broker, KpyBroker
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, poll_until
from tests.sweeps import examples

PRODUCERS, PARTITIONS = 3, 2
OUTSTANDING_MAX = 300
ACKNOWLEDGED_PER_ROUND = 200
RECOVERS_IN_S = 60
SERVES_AGAIN_IN_S = 3.0
"""kpy takes a fifth of that where nobody else wants the processor."""

TIMES_AN_EMPTY_BROKER = 3.0
"""Where the machine is slower than that, this many times what a broker takes that begins with nothing."""


class Writer:
    """An idempotent producer and its thread: successive numbers to each partition in turn, as fast as they go."""

    def __init__(self, clients: Clients, topic: str, name: int) -> None:
        self._producer = clients.producer(
            acks="all",
            enable_idempotence=True,
            linger_ms=1,
            retry_backoff_ms=50,
            reconnect_backoff_max_ms=200,
            delivery_timeout_ms=120_000,
        )
        self._topic = topic
        self._name = name
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self.sent: list[FutureRecordMetadata] = []
        self.acknowledged = 0

    @contextmanager
    def running(self) -> Iterator["Writer"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            self._thread.join()

    def _write(self) -> None:
        while not self._stopping.is_set():
            while self.acknowledged < len(self.sent) and self.sent[self.acknowledged].is_done:
                self.acknowledged += 1
            if len(self.sent) - self.acknowledged >= OUTSTANDING_MAX:
                self._stopping.wait(0.005)  # for room, not for an event
                continue
            number = len(self.sent)
            value = b"%d %d" % (self._name, number)
            self.sent.append(self._producer.send(self._topic, value, partition=number % PARTITIONS))

    def offsets(self) -> list[int]:
        """Where each record is, once all are acknowledged."""
        self._producer.flush(timeout=RECOVERS_IN_S)
        return [future.get(timeout=RECOVERS_IN_S).offset for future in self.sent]


def test_producers_over_many_kills(
    clients: Clients, restartable_broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    """What producers were told that it is stored is there once, in their order, at the offsets that they were told.

    kpy is back soon after most kills; Apache Kafka has as long as any start may take.
    """
    topic = clients.topic(partitions=PARTITIONS)
    writers = [Writer(clients, topic, name) for name in range(PRODUCERS)]
    rounds = 2 if restartable_broker.name == "kafka" else examples(3)
    back_s = []
    with writers[0].running(), writers[1].running(), writers[2].running():
        for _ in range(rounds):
            _wait_for_more(writers)
            restartable_broker.kill()
            killed = time.monotonic()
            restartable_broker.start()
            serving_s = time.monotonic() - killed
            back_s.append(serving_s)
            _wait_for_more(writers, 1)
            with capsys.disabled():
                taking_s = time.monotonic() - killed
                print(f"\n{restartable_broker.name}: serves {serving_s:.2f} s after the kill", end=", ")
                print(f"every producer goes on {taking_s:.2f} s after it", end=" ")
        _wait_for_more(writers)
        if restartable_broker.name == "kpy" and median(back_s) >= SERVES_AGAIN_IN_S:
            assert median(back_s) < TIMES_AN_EMPTY_BROKER * _start_of_an_empty_broker_s()
    offsets = [writer.offsets() for writer in writers]
    for partition in range(PARTITIONS):
        expected = {
            offset: b"%d %d" % (name, number)
            for name, places in enumerate(offsets)
            for number, offset in enumerate(places)
            if number % PARTITIONS == partition
        }
        records = _read_all(clients, TopicPartition(topic, partition), len(expected))
        assert {record.offset: record.value for record in records} == expected
        for name in range(PRODUCERS):
            mine = [int(record.value.split()[1]) for record in records if record.value.startswith(b"%d " % name)]
            assert mine == list(range(partition, len(offsets[name]), PARTITIONS))


def _start_of_an_empty_broker_s() -> float:
    """What the machine can do, while the writers go on."""
    with closing(KpyBroker()) as broker:
        started = time.monotonic()
        broker.start()
        return time.monotonic() - started


def _wait_for_more(writers: list[Writer], count: int = ACKNOWLEDGED_PER_ROUND) -> None:
    wanted = [writer.acknowledged + count for writer in writers]
    eventually(
        lambda: all(writer.acknowledged >= at_least for writer, at_least in zip(writers, wanted, strict=True)),
        f"{count} more acknowledgements of each producer",
        within_s=RECOVERS_IN_S,
    )


def _read_all(clients: Clients, partition: TopicPartition, count: int) -> list[ConsumerRecord]:
    consumer = clients.consumer()
    consumer.assign([partition])
    assert consumer.end_offsets([partition]) == {partition: count}
    return poll_until(consumer, count)

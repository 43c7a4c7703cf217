"""How much can be written and read, what the broker works for it, and what it then holds.

The first pass over a fresh broker warms it up and fills it; the numbers are the median of the passes after it.
"""

import os
import statistics
import time

from confluent_kafka import KafkaError, Message, TopicPartition

from benchmarks.brokers import RunningBroker
from benchmarks.metrics import Measurements, Metric, Scale
from benchmarks.workloads import clients

LOADED_MEMORY = Metric("memory, after 200 MB written", "MiB")
PRODUCED = Metric("produce", "MB/s", higher_is_better=True)
PRODUCE_CPU = Metric("produce, broker CPU", "us/record")
CONSUMED = Metric("consume", "MB/s", higher_is_better=True)
CONSUME_CPU = Metric("consume, broker CPU", "us/record")

RECORD_BYTES = 1_000
PARTITIONS = 4
QUEUED_RECORDS_MAX = 100_000
POLL_EVERY = 1_000
TAKEN_AT_ONCE = 10_000
UNLIMITED_QUEUE = {"queued_min_messages": 10_000_000, "queued_max_messages_kbytes": 2_000_000}
"""By default librdkafka stops asking for a second when 64 MB are waiting in it: a quick broker would look slow."""


def throughput(broker: RunningBroker, scale: Scale) -> Measurements:
    """Several passes of writing a topic and reading it back."""
    records = scale.produced_bytes // RECORD_BYTES
    passes: list[Measurements] = []
    memory_mib = 0.0
    for number in range(scale.passes):
        topic = f"throughput-{number}"
        clients.create_topic(broker, topic, partitions=PARTITIONS)
        produced = _produce(broker, topic, records)
        memory_mib = memory_mib or broker.resident_mib()
        passes.append(produced | _consume(broker, topic, records))
    warm = passes[1:]
    rates = {metric: statistics.median(each[metric] for each in warm) for metric in warm[0]}
    return {LOADED_MEMORY: memory_mib} | rates


def _produce(broker: RunningBroker, topic: str, records: int) -> dict[Metric, float]:
    """From the first record handed to the client to the last acknowledgement."""
    value = os.urandom(RECORD_BYTES)
    delivered = 0

    def on_delivery(error: KafkaError | None, _: Message) -> None:
        nonlocal delivered
        clients.check(error)
        delivered += 1

    producer = clients.producer(broker, queue_buffering_max_messages=2 * QUEUED_RECORDS_MAX)
    producer.list_topics(topic, timeout=clients.TIMEOUT_S)
    started, cpu_before = time.perf_counter(), broker.cpu_s()
    for number in range(records):
        producer.produce(topic, value, partition=number % PARTITIONS, on_delivery=on_delivery)
        if number % POLL_EVERY == 0:
            producer.poll(0)
            while len(producer) > QUEUED_RECORDS_MAX:
                producer.poll(0.01)
    producer.flush(clients.TIMEOUT_S)
    rate, cpu_us = _rates(records, time.perf_counter() - started, broker.cpu_s() - cpu_before)
    if delivered != records:
        raise TimeoutError(f"{delivered} of {records} records acknowledged")
    return {PRODUCED: rate, PRODUCE_CPU: cpu_us}


def _consume(broker: RunningBroker, topic: str, records: int) -> dict[Metric, float]:
    """From the assignment of all partitions to the last record."""
    with clients.consumer(broker, "throughput", **UNLIMITED_QUEUE) as consumer:
        consumer.list_topics(topic, timeout=clients.TIMEOUT_S)
        started, cpu_before = time.perf_counter(), broker.cpu_s()
        consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        left, deadline = records, started + clients.TIMEOUT_S
        while left:
            messages = consumer.consume(TAKEN_AT_ONCE, timeout=0.05)
            for message in messages:
                clients.check(message.error())
            left -= len(messages)
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{left} of {records} records missing")
        rate, cpu_us = _rates(records, time.perf_counter() - started, broker.cpu_s() - cpu_before)
    return {CONSUMED: rate, CONSUME_CPU: cpu_us}


def _rates(records: int, elapsed_s: float, cpu_s: float) -> tuple[float, float]:
    """Megabytes a second, and microseconds of the broker's CPU a record."""
    return records * RECORD_BYTES / elapsed_s / 1e6, cpu_s / records * 1e6

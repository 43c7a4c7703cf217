"""From `produce` in one thread to the record in the hands of a consumer in another, at a steady pace."""

import threading
import time

from confluent_kafka import Producer, TopicPartition

from benchmarks.brokers import RunningBroker
from benchmarks.metrics import Measurements, Metric, Scale, percentile
from benchmarks.workloads import clients

END_TO_END_P50 = Metric("end to end at 1000 records/s, p50", "us")
END_TO_END_P99 = Metric("end to end at 1000 records/s, p99", "us")

TOPIC = "end-to-end"
RECORDS_PER_S = 1_000
RECORD_BYTES = 1_000
WARM_UP_RECORDS = 1_000


def end_to_end(broker: RunningBroker, scale: Scale) -> Measurements:
    """Each record carries the time at which it was handed to the producer, which does not linger."""
    clients.create_topic(broker, TOPIC, partitions=1)
    records = WARM_UP_RECORDS + int(scale.paced_s * RECORDS_PER_S)
    with clients.consumer(broker, "end-to-end") as consumer:
        consumer.assign([TopicPartition(TOPIC, 0, 0)])
        writer = threading.Thread(target=_write, args=(clients.producer(broker, linger_ms=0), records), daemon=True)
        writer.start()
        taken_us: list[float] = []
        deadline = time.monotonic() + scale.paced_s + clients.TIMEOUT_S
        while len(taken_us) < records:
            message = consumer.poll(0.1)
            now_ns = time.perf_counter_ns()
            if message is not None:
                clients.check(message.error())
                taken_us.append((now_ns - int.from_bytes((message.value() or b"")[:8], "big")) / 1e3)
            elif time.monotonic() > deadline:
                raise TimeoutError(f"{len(taken_us)} of {records} records came")
        writer.join()
    steady = taken_us[WARM_UP_RECORDS:]
    return {END_TO_END_P50: percentile(steady, 50), END_TO_END_P99: percentile(steady, 99)}


def _write(producer: Producer, records: int) -> None:
    padding = bytes(RECORD_BYTES - 8)
    producer.list_topics(TOPIC, timeout=clients.TIMEOUT_S)
    started = time.perf_counter()
    for number in range(records):
        time.sleep(max(0.0, started + number / RECORDS_PER_S - time.perf_counter()))
        producer.produce(TOPIC, time.perf_counter_ns().to_bytes(8, "big") + padding, partition=0)
        producer.poll(0)
    producer.flush(clients.TIMEOUT_S)

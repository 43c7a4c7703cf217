"""A consumer group that nobody has seen before."""

import statistics
import time

from benchmarks.brokers import RunningBroker
from benchmarks.metrics import Measurements, Metric, Scale
from benchmarks.workloads import clients

FIRST_RECORD = Metric("first record of a new group", "s")

TOPIC = "new-groups"
PARTITIONS = 4


def new_groups(broker: RunningBroker, scale: Scale) -> Measurements:
    """From making a consumer to its first record.

    The first group of all is not counted: for that the broker makes its topic of offsets.
    """
    clients.create_topic(broker, TOPIC, partitions=PARTITIONS)
    producer = clients.producer(broker)
    for partition in range(PARTITIONS):
        producer.produce(TOPIC, b"a record", partition=partition)
    producer.flush(clients.TIMEOUT_S)
    taken_s = [_first_record(broker, f"group-{number}") for number in range(1 + scale.groups)]
    return {FIRST_RECORD: statistics.median(taken_s[1:])}


def _first_record(broker: RunningBroker, group_id: str) -> float:
    started = time.perf_counter()
    with clients.consumer(broker, group_id) as consumer:
        consumer.subscribe([TOPIC])
        message = consumer.poll(clients.TIMEOUT_S)
        taken_s = time.perf_counter() - started
    if message is None:
        raise TimeoutError(f"no record in {clients.TIMEOUT_S:g} s")
    clients.check(message.error())
    return taken_s

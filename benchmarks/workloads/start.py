"""A broker that has just started."""

import time

from benchmarks.brokers import RunningBroker
from benchmarks.metrics import Measurements, Metric, Scale

FIRST_ANSWER = Metric("exec to first answer", "s")
IDLE_MEMORY = Metric("memory, idle", "MiB")


def fresh_process(broker: RunningBroker, scale: Scale) -> Measurements:
    """How long it took to answer ApiVersions, and what it then holds."""
    time.sleep(scale.settle_s)
    return {FIRST_ANSWER: broker.start_s, IDLE_MEMORY: broker.resident_mib()}

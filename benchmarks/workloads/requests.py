"""Requests by hand over one connection: what the broker needs for each, without any client's own time."""

import os
import time

from benchmarks import wire
from benchmarks.brokers import RunningBroker
from benchmarks.metrics import Measurements, Metric, Scale, percentile
from benchmarks.workloads import clients

PRODUCE_P50 = Metric("synchronous produce of one 1 kB record, p50", "us")
PRODUCE_P99 = Metric("synchronous produce of one 1 kB record, p99", "us")
HEARTBEAT_P50 = Metric("smallest request (Heartbeat), one at a time, p50", "us")
HEARTBEATS = Metric("smallest request (Heartbeat), pipelined", "requests/s", higher_is_better=True)
API_VERSIONS_P50 = Metric("ApiVersions, one at a time, p50", "us")
API_VERSIONS_RATE = Metric("ApiVersions, pipelined", "requests/s", higher_is_better=True)

RECORD_BYTES = 1_000
WARM_UP_SHARE = 10
BURST = 100
BURSTS_AHEAD = 4


def synchronous_produce(broker: RunningBroker, scale: Scale) -> Measurements:
    """One record, acks=all, and the next when the answer is there."""
    topic = "synchronous"
    clients.create_topic(broker, topic, partitions=1)
    frame = wire.produce(topic, 0, wire.batch([os.urandom(RECORD_BYTES)], time.time_ns() // 1_000_000))
    with wire.Connection(broker.port) as connection:
        error = wire.produce_error(connection.exchange(frame), topic)
        if error:
            raise RuntimeError(f"the broker refused the record with error {error}")
        taken_us = _one_at_a_time(connection, frame, scale.requests)
    return {PRODUCE_P50: percentile(taken_us, 50), PRODUCE_P99: percentile(taken_us, 99)}


def smallest_requests(broker: RunningBroker, scale: Scale) -> Measurements:
    """Two requests of a few bytes; the answer to ApiVersions grows with what a broker can do, that to Heartbeat not."""
    measured: dict[Metric, float] = {}
    requests = (
        (wire.heartbeat("nobody's group"), HEARTBEAT_P50, HEARTBEATS),
        (wire.api_versions(), API_VERSIONS_P50, API_VERSIONS_RATE),
    )
    for frame, one_at_a_time, pipelined in requests:
        with wire.Connection(broker.port) as connection:
            measured[one_at_a_time] = percentile(_one_at_a_time(connection, frame, scale.requests), 50)
            measured[pipelined] = _pipelined(connection, frame, scale.pipelined_requests)
    return measured


def _one_at_a_time(connection: wire.Connection, frame: bytes, requests: int) -> list[float]:
    """Microseconds of each, after a warm-up."""
    clock, exchange = time.perf_counter_ns, connection.exchange
    for _ in range(requests // WARM_UP_SHARE):
        exchange(frame)
    taken_us = []
    for _ in range(requests):
        started = clock()
        exchange(frame)
        taken_us.append((clock() - started) / 1e3)
    return taken_us


def _pipelined(connection: wire.Connection, frame: bytes, requests: int) -> float:
    """Requests answered a second, with a few hundred always under way."""
    reply_bytes = 4 + len(connection.exchange(frame))
    burst, bursts = frame * BURST, requests // BURST
    started = time.perf_counter()
    for _ in range(BURSTS_AHEAD):
        connection.send(burst)
    for _ in range(bursts - BURSTS_AHEAD):
        connection.receive_exactly(reply_bytes * BURST)
        connection.send(burst)
    connection.receive_exactly(reply_bytes * BURST * BURSTS_AHEAD)
    return bursts * BURST / (time.perf_counter() - started)

"""Consumer groups: one that nobody has seen before, large ones from nothing to stable, a thousand members at work."""

import statistics
import time
from collections.abc import Callable

from benchmarks import group_wire, wire
from benchmarks.brokers import RunningBroker
from benchmarks.group_members import NOT_READY, RETRY_S, GroupFailed, Member, Members
from benchmarks.metrics import Measurements, Metric, Scale
from benchmarks.workloads import clients

FIRST_RECORD = Metric("first record of a new group", "s")
SETTLED = Metric("a group of 50 from nothing to stable", "s")
SETTLED_CPU = Metric("a group of 50 from nothing to stable, broker CPU", "s")
HEARTBEATS = Metric("heartbeats of {} members", "requests/s", higher_is_better=True)
HEARTBEAT_CPU = Metric("heartbeats of {} members, broker CPU", "us/request")
COMMITS = Metric("commits of {} members", "requests/s", higher_is_better=True)
COMMIT_CPU = Metric("commits of {} members, broker CPU", "us/request")

TOPIC = "new-groups"
PARTITIONS = 4
GROUP_SIZE = 50


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


def group_from_nothing(broker: RunningBroker, scale: Scale) -> Measurements:
    """Fifty members connect, join and beat ten times a second, until all are in one generation with an assignment.

    The first group of all is not counted, as above.
    """
    await_coordinator(broker)
    taken_s, cpu_s = [], []
    for number in range(1 + scale.groups):
        started, cpu_before = time.perf_counter(), broker.cpu_s()
        with Members(broker.port, [f"from-nothing-{number}"], GROUP_SIZE) as members:
            members.settle()
            taken_s.append(time.perf_counter() - started)
            cpu_s.append(broker.cpu_s() - cpu_before)
    return {SETTLED: statistics.median(taken_s[1:]), SETTLED_CPU: statistics.median(cpu_s[1:])}


def members_at_work(broker: RunningBroker, scale: Scale) -> Measurements:
    """Members in groups of fifty, on a connection each; in every round all ask at once, and then all are answered."""
    await_coordinator(broker)
    clients.create_topic(broker, "at-work", partitions=GROUP_SIZE)
    group_ids = [f"at-work-{number}" for number in range(scale.members // GROUP_SIZE)]
    measured: dict[Metric, float] = {}

    def beat(member: Member, _: int) -> bytes:
        return group_wire.heartbeat(member.group_id, member.generation, member.member_id)

    def commit(member: Member, number: int) -> bytes:
        place = number // len(group_ids)
        return group_wire.offset_commit(member.group_id, member.generation, member.member_id, "at-work", place, number)

    def commit_error(reply: bytes) -> int:
        return group_wire.commit_error(reply, "at-work")

    with Members(broker.port, group_ids, GROUP_SIZE) as crowd:
        crowd.settle()
        for rate, cpu, request, error in (
            (HEARTBEATS, HEARTBEAT_CPU, beat, group_wire.error),
            (COMMITS, COMMIT_CPU, commit, commit_error),
        ):
            requests_s, cpu_us = _rounds(broker, crowd.members, scale.requests_per_member, request, error)
            for metric, value in ((rate, requests_s), (cpu, cpu_us)):
                title = metric.title.format(len(crowd.members))
                measured[Metric(title, metric.unit, metric.higher_is_better)] = value
    return measured


def await_coordinator(broker: RunningBroker) -> None:
    """Return when groups can be spoken of at all."""
    deadline = time.monotonic() + wire.TIMEOUT_S
    with wire.Connection(broker.port) as connection:
        while code := group_wire.coordinator_error(connection.exchange(group_wire.find_coordinator("any"))):
            if code not in NOT_READY or time.monotonic() > deadline:
                raise GroupFailed(f"no coordinator: error {code}")
            time.sleep(RETRY_S)


def _rounds(
    broker: RunningBroker,
    members: list[Member],
    rounds: int,
    request: Callable[[Member, int], bytes],
    error: Callable[[bytes], int],
) -> tuple[float, float]:
    """Requests answered a second, and microseconds of the broker's CPU a request; the first round is a warm-up."""
    frames = [request(member, number) for number, member in enumerate(members)]
    started, cpu_before = 0.0, 0.0
    for number in range(1 + rounds):
        if number == 1:
            started, cpu_before = time.perf_counter(), broker.cpu_s()
        for member, frame in zip(members, frames, strict=True):
            member.socket.sendall(frame)
        for member in members:
            if code := error(member.receive()):
                raise GroupFailed(f"a member at work was answered with error {code}")
    count = rounds * len(members)
    return count / (time.perf_counter() - started), (broker.cpu_s() - cpu_before) / count * 1e6

"""The kinds of work, each a function from a running broker to what it measured, in the order in which they are done.

They come in suites: what a program notices of a broker, what its groups can do, and what its log can do, which takes
minutes. The order
matters to memory and to a broker that grows quicker while it runs: a fresh process is read first, then filled, and the
latencies are taken from a broker that has seen work.
"""

from collections.abc import Callable, Mapping

from benchmarks.brokers import RunningBroker
from benchmarks.metrics import Measurements, Scale
from benchmarks.workloads.bystander import bystander
from benchmarks.workloads.compaction import compaction
from benchmarks.workloads.end_to_end import end_to_end
from benchmarks.workloads.groups import group_from_nothing, members_at_work, new_groups
from benchmarks.workloads.log import catch_up, many_partitions, partitions
from benchmarks.workloads.requests import smallest_requests, synchronous_produce
from benchmarks.workloads.start import fresh_process
from benchmarks.workloads.throughput import throughput

Workload = Callable[[RunningBroker, Scale], Measurements]

SUITES: Mapping[str, tuple[Workload, ...]] = {
    "clients": (
        fresh_process,
        throughput,
        synchronous_produce,
        end_to_end,
        new_groups,
        smallest_requests,
    ),
    "groups": (group_from_nothing, members_at_work),
    "log": (partitions, catch_up, bystander, compaction, many_partitions),
}

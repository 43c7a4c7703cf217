"""The group coordinators of this broker: one machine for each partition of `__consumer_offsets` that it leads.

The topic is created when a group is first spoken of. A partition's machine is loaded when one of its groups is first
asked for, and in the background after a start, so that sessions and offsets expire without anybody asking.
"""

from collections.abc import Callable
from random import Random

import trio

from kpy.cluster.image import Changes
from kpy.cluster.topic_names import CONSUMER_OFFSETS
from kpy.config import BrokerConfig
from kpy.groups.config import GroupConfig
from kpy.groups.coordinator import GroupCoordinator
from kpy.groups.partitioning import partition_for
from kpy.server.clock import Clock
from kpy.server.partitions import Partitions
from kpy.server.state_machine_runtime import StateMachineRuntime
from kpy.server.timers import Timers

GroupRuntime = StateMachineRuntime[GroupCoordinator]


class Groups:
    """Finds the machine that a group lives in."""

    def __init__(
        self,
        config: BrokerConfig,
        partitions: Partitions,
        *,
        clock: Clock,
        timers: Timers,
        random_source: Random,
        create_offsets_topic: Callable[[], None],
    ) -> None:
        self._config = config
        self._partitions = partitions
        self._clock = clock
        self._timers = timers
        self._random = random_source
        self._create_offsets_topic = create_offsets_topic
        self._runtimes: dict[int, GroupRuntime] = {}

    def runtime_for(self, group_id: str) -> GroupRuntime:
        """The coordinator of a group, loaded. Raises KafkaError if it cannot be."""
        if self._partitions.image.topic(CONSUMER_OFFSETS) is None:
            self._create_offsets_topic()
        return self._runtime(partition_for(group_id, self._partition_count()))

    def loaded(self) -> list[GroupRuntime]:
        """Every coordinator of this broker, for questions about all groups; loads those that are not yet."""
        return [self._runtime(index) for index in range(self._partition_count()) if self._has_records(index)]

    async def load_in_background(self) -> None:
        """Load every partition that holds something, letting others run in between."""
        for index in range(self._partition_count()):
            if self._has_records(index):
                self._runtime(index)
                await trio.lowlevel.checkpoint()

    def image_changed(self, changes: Changes) -> None:
        """Forget the offsets of deleted topics."""
        if changes.deleted:
            deleted = {topic.name: topic.topic_id for topic in changes.deleted}
            for runtime in self._runtimes.values():
                runtime.execute(runtime.machine.topics_deleted(deleted))

    def unload(self) -> None:
        """Answer what is parked and stop all timers."""
        for runtime in self._runtimes.values():
            runtime.unload()

    def _partition_count(self) -> int:
        topic = self._partitions.image.topic(CONSUMER_OFFSETS)
        return len(topic.partitions) if topic is not None else 0

    def _has_records(self, index: int) -> bool:
        log = self._partitions.logs.get(CONSUMER_OFFSETS, index)
        return log is not None and log.end_offset > 0

    def _runtime(self, index: int) -> GroupRuntime:
        runtime = self._runtimes.get(index)
        if runtime is None:
            runtime = self._runtimes[index] = StateMachineRuntime(
                f"group coordinator {index}",
                GroupCoordinator(GroupConfig.of(self._config), self._random),
                self._partitions.find(CONSUMER_OFFSETS, index),
                clock=self._clock,
                timers=self._timers,
            )
            runtime.load()
            runtime.execute(runtime.machine.forget_missing_topics(self._partitions.image))
        return runtime

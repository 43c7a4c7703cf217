"""The group coordinators of this broker: one machine for each partition of `__consumer_offsets` that it leads.

The topic is created when a group is first spoken of. A partition's machine is loaded when one of its groups is first
asked for, and in the background after a start, so that sessions and offsets expire without anybody asking.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import TypeVar

import trio

from kpy.cluster.image import Changes, ResourceType
from kpy.cluster.topic_names import CONSUMER_OFFSETS
from kpy.config import BrokerConfig
from kpy.config.group import GroupOptions
from kpy.groups.config import GroupConfig
from kpy.groups.consumer.settings import GroupSettings
from kpy.groups.coordinator import GroupCoordinator
from kpy.groups.partitioning import partition_for
from kpy.groups.responses import coordinator_error
from kpy.protocol.errors import DecodeError, ErrorCode, KafkaError
from kpy.protocol.schema import Message
from kpy.server.clock import Clock
from kpy.server.partitions import Partitions
from kpy.server.rounds import Rounds
from kpy.server.state_machine_runtime import StateMachineRuntime
from kpy.server.timers import Timers
from kpy.state_machine import Decision, ReplyTo

logger = logging.getLogger(__name__)

GroupRuntime = StateMachineRuntime[GroupCoordinator]
R = TypeVar("R", bound=Message)
V = TypeVar("V")

NO_LEADER = -1
LOADED_AT_ONCE_BYTES = 1 << 20
"""A partition of up to this size is loaded by whoever asks first; the groups of a larger one have to wait."""

CACHED_GROUPS_MAX = 4096
"""Groups whose coordinator is kept at hand, and groups whose settings are."""


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
        rounds: Rounds | None = None,
        broker_config: Callable[[], BrokerConfig] | None = None,
    ) -> None:
        """`config` is what the coordinators are made with, `broker_config` what is in force if that may change."""
        self._config = config
        self._broker_config = broker_config or (lambda: config)
        self._settings: dict[str, GroupSettings] = {}
        self._partitions = partitions
        self._clock = clock
        self._timers = timers
        self._random = random_source
        self._rounds = rounds
        self._create_offsets_topic = create_offsets_topic
        self._runtimes: dict[int, GroupRuntime] = {}
        self._by_group: dict[str, GroupRuntime] = {}
        """Some of them by groups that were asked for: to find them is a loop over a name, and each heartbeat does."""
        self._loading: dict[int, GroupRuntime] = {}
        self._loads_in_background = True
        self._failed: dict[int, str] = {}
        """Partitions with a record that cannot be read, and why: Kafka too gives them up until the next start."""
        self._stopped = False

    def leader_of(self, group_id: str) -> int:
        """The broker whose coordinator a group belongs to; no one's id if the partition has no leader now."""
        index = self._partition_of(group_id)  # creates the topic, and so a new image
        partition = self._partitions.image.partition(CONSUMER_OFFSETS, index)
        return partition.leader if partition is not None else NO_LEADER

    def runtime_for(self, group_id: str) -> GroupRuntime:
        """The coordinator of a group, loaded. Raises KafkaError if it cannot be."""
        runtime = self._by_group.get(group_id)
        if runtime is None:
            runtime = self._runtime(self._partition_of(group_id))
            _keep_at_hand(self._by_group, group_id, runtime)
        return runtime

    def ask(
        self,
        group_id: str,
        decide: Callable[[GroupCoordinator, ReplyTo], Decision],
        error_response: Callable[[ErrorCode], R],
        *,
        may_be_gathered: bool = False,
    ) -> R | Awaitable[R]:
        """Have the coordinator of a group decide; its answer, or an awaitable of it where the request is held.

        `error_response` is for errors that are not the coordinator's own, by the code that its clients know. What
        `may_be_gathered` is decided as `StateMachineRuntime.gather` says.
        """

        def failed(error: KafkaError) -> R:
            return error_response(coordinator_error(error.code))

        try:
            runtime = self.runtime_for(group_id)
        except KafkaError as error:
            return failed(error)
        return runtime.gather(decide, failed) if may_be_gathered else runtime.ask(decide, failed)

    def loaded(self) -> list[GroupRuntime]:
        """Every coordinator of this broker, for questions about all groups; loads those that are not yet.

        Those that cannot be read are left out, as Kafka leaves them out (GroupCoordinatorService.listGroups).
        """
        if self._stopped:
            raise _stopping()
        found = []
        for index in range(self._partition_count()):
            try:
                if index in self._runtimes or self._has_records(index):
                    found.append(self._runtime(index))
            except KafkaError as error:
                if coordinator_error(error.code) is not ErrorCode.NOT_COORDINATOR:
                    raise
        return found

    async def load_in_background(self) -> None:
        """Load every partition that holds something, letting others run in between; large ones bit by bit.

        Their groups are told COORDINATOR_LOAD_IN_PROGRESS meanwhile, as in Kafka.
        """
        for index in range(self._partition_count()):
            try:
                if self._has_records(index) and index not in self._runtimes:
                    for _ in self._load(index):
                        await trio.lowlevel.checkpoint()
            except KafkaError as error:
                logger.error("%s-%d: its groups cannot be loaded now: %s", CONSUMER_OFFSETS, index, error)
            await trio.lowlevel.checkpoint()
        self._loads_in_background = False

    def image_changed(self, changes: Changes) -> None:
        """Forget the offsets of deleted topics, tell the groups what has changed; and forget all groups with theirs."""
        if any(kind in (ResourceType.GROUP, ResourceType.BROKER) for kind, _ in changes.configs):
            self._settings.clear()
        if changes.deleted:
            deleted = {topic.name: topic.topic_id for topic in changes.deleted}
            if CONSUMER_OFFSETS in deleted:
                self._unload()
            for runtime in self._runtimes.values():
                runtime.execute(runtime.machine.topics_deleted(deleted))
        changed = [topic.name for topic in (*changes.created, *changes.deleted, *changes.grown)]
        if CONSUMER_OFFSETS in changed:
            self._by_group.clear()
        if changed:
            for runtime in self._runtimes.values():
                runtime.machine.topics_changed(self._partitions.image, changed, has_new=bool(changes.created))

    def unload(self) -> None:
        """Answer what is parked, stop all timers, and send away who still comes."""
        self._stopped = True
        self._unload()

    def _unload(self) -> None:
        for runtime in self._runtimes.values():
            runtime.unload()
        for runtime in self._loading.values():
            runtime.unload()
        self._runtimes.clear()
        self._by_group.clear()
        self._loading.clear()
        self._failed.clear()

    def _partition_of(self, group_id: str) -> int:
        count = self._partition_count()
        if not count:
            self._create_offsets_topic()
            count = self._partition_count()
        return partition_for(group_id, count)

    def _partition_count(self) -> int:
        topic = self._partitions.image.topic(CONSUMER_OFFSETS)
        return len(topic.partitions) if topic is not None else 0

    def _has_records(self, index: int) -> bool:
        log = self._partitions.log(CONSUMER_OFFSETS, index)
        return log is not None and log.end_offset > 0

    def _runtime(self, index: int) -> GroupRuntime:
        runtime = self._runtimes.get(index)
        if runtime is None:
            if self._stopped:
                raise _stopping()
            if index in self._failed:
                raise KafkaError(ErrorCode.NOT_COORDINATOR, self._failed[index])
            if index in self._loading or (self._loads_in_background and self._is_large(index)):
                raise KafkaError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
            for _ in self._load(index):
                pass
            runtime = self._runtimes[index]
        return runtime

    def _is_large(self, index: int) -> bool:
        log = self._partitions.log(CONSUMER_OFFSETS, index)
        return log is not None and log.size_bytes > LOADED_AT_ONCE_BYTES

    def _load(self, index: int) -> Iterator[None]:
        """Load one partition, step by step, unless the groups are unloaded meanwhile."""
        runtime = self._loading[index] = StateMachineRuntime(
            f"group coordinator {index}",
            GroupCoordinator(GroupConfig.of(self._config), self._random, self._settings_of),
            self._partitions.find(CONSUMER_OFFSETS, index),
            clock=self._clock,
            timers=self._timers,
            rounds=self._rounds,
        )
        try:
            for _ in runtime.load_in_steps():
                yield
                if self._loading.get(index) is not runtime:
                    return
        except DecodeError as error:
            self._failed[index] = f"a record cannot be read: {error}"
            raise KafkaError(ErrorCode.NOT_COORDINATOR, self._failed[index]) from error
        finally:
            if self._loading.get(index) is runtime:
                del self._loading[index]
        runtime.machine.topics_changed(self._partitions.image, (), has_new=True)
        self._runtimes[index] = runtime
        runtime.execute(runtime.machine.forget_missing_topics(self._partitions.image))

    def _settings_of(self, group_id: str) -> GroupSettings:
        """What is configured for a group, looked up once for each change."""
        found = self._settings.get(group_id)
        if found is None:
            broker = self._broker_config()
            own = self._partitions.image.config(ResourceType.GROUP, group_id)
            found = GroupSettings.of(GroupOptions(own, broker).within_bounds(broker))
            _keep_at_hand(self._settings, group_id, found)
        return found


def _keep_at_hand(cache: dict[str, V], group_id: str, value: V) -> None:
    """For the next time that the group is asked for, unless there are too many."""
    if len(cache) >= CACHED_GROUPS_MAX:
        cache.clear()
    cache[group_id] = value


def _stopping() -> KafkaError:
    return KafkaError(ErrorCode.NOT_COORDINATOR, "the broker is stopping")

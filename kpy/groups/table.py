"""The groups of one coordinator by id, whatever their protocol, as replay makes them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from kpy.groups.classic_group import ClassicGroup
from kpy.groups.consumer.group import ConsumerGroup
from kpy.groups.states import GroupState
from kpy.protocol import consumer_group_records as consumer
from kpy.protocol.group_records import GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue
from kpy.protocol.schema import Data
from kpy.state_machine import Record

AnyGroup: TypeAlias = ClassicGroup | ConsumerGroup

CONSUMER_KEYS = tuple(key for key, _ in consumer.RECORDS.types.values())


class Arriving(NamedTuple):
    """A classic group that its record is about to bring; `rebalances` says that its members are to join at once."""

    group: ClassicGroup
    rebalances: bool = False


class GroupTable:
    """Groups, and those on their way.

    A new classic group waits in `arriving` for its record, so that a failed append leaves nothing behind. Only one
    whose first join is parked is in the table before it has one. If it takes the place of an empty consumer group, that
    one stays in `replaced` until then, for it is what the log still tells.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, AnyGroup] = {}
        self.arriving: Arriving | None = None
        self.replaced: dict[str, ConsumerGroup] = {}

    def get(self, group_id: str) -> AnyGroup | None:
        return self.by_id.get(group_id)

    def __iter__(self) -> Iterator[AnyGroup]:
        return iter(self.by_id.values())

    def put_before_its_record(self, group: ClassicGroup) -> None:
        """A classic group that members wait in, and that has nothing to record yet."""
        known = self.by_id.get(group.group_id)
        if isinstance(known, ConsumerGroup):
            self.replaced[group.group_id] = known
        self.by_id[group.group_id] = group

    def with_tombstones(self, records: Iterable[Record]) -> list[Record]:
        """The records, with those before them that end a group whose place the recorded one takes."""
        if not self.replaced:
            return list(records)
        ended: set[str] = set()
        result = []
        for record in records:
            if isinstance(record.key, GroupMetadataKey):
                group_id = record.key.group
                if group_id in self.replaced and group_id not in ended:
                    ended.add(group_id)
                    result += self.replaced[group_id].tombstones()
            result.append(record)
        return result

    # --- replay ---

    def replay_offset(self, key: OffsetCommitKey, value: OffsetCommitValue | None) -> None:
        """Offsets without a group make one that has no members and no protocol: a so-called simple group."""
        if value is not None and key.group not in self.by_id:
            self.by_id[key.group] = ClassicGroup(key.group, value.commit_timestamp)

    def replay_classic(self, group_id: str, value: GroupMetadataValue | None) -> None:
        """A generation, or the end of a classic group. A generation ends a consumer group that was there."""
        arriving, self.arriving = self.arriving, None
        group = self.by_id.get(group_id)
        if value is None:
            if isinstance(group, ClassicGroup):
                group.state = GroupState.DEAD
                del self.by_id[group_id]
            return
        if not isinstance(group, ClassicGroup):
            if arriving is None or arriving.group.group_id != group_id:
                arriving = Arriving(ClassicGroup(group_id, value.current_state_timestamp))
            group = self.by_id[group_id] = arriving.group
            group.apply(value)
            if arriving.rebalances:
                group.move(GroupState.PREPARING_REBALANCE, group.state_timestamp_ms)
        else:
            group.apply(value)
        self.replaced.pop(group_id, None)

    def replay_consumer(self, key: Data, value: Data | None) -> None:
        """A change of a consumer group. The first makes it, also in the place of a simple group."""
        assert isinstance(key, CONSUMER_KEYS)
        group_id: str = key.group_id  # type: ignore[attr-defined]
        group = self.by_id.get(group_id)
        if not isinstance(group, ConsumerGroup):
            if value is None:
                if isinstance(key, consumer.ConsumerGroupMetadataKey):
                    self.replaced.pop(group_id, None)
                return
            group = self.by_id[group_id] = ConsumerGroup(group_id)
        if value is None and isinstance(key, consumer.ConsumerGroupMetadataKey):
            del self.by_id[group_id]
        else:
            group.replay(key, value)

    # --- for tests ---

    def durable_state(self) -> object:
        """What a replay of the log must give again."""
        classic = {
            group.group_id: group.durable_state()
            for group in self
            if isinstance(group, ClassicGroup) and group.stored is not None
        }
        consumer_groups = [group for group in self if isinstance(group, ConsumerGroup)]
        return classic, {group.group_id: group.durable_state() for group in (*consumer_groups, *self.replaced.values())}

    def check_invariants(self) -> None:
        """Raise if anything here contradicts itself."""
        for group_id, group in self.by_id.items():
            assert group.group_id == group_id
            assert not isinstance(group, ClassicGroup) or group.state is not GroupState.DEAD
            group.check_invariants()
        for group_id, group in self.replaced.items():
            assert not group.members
            assert isinstance(self.by_id.get(group_id), ClassicGroup)

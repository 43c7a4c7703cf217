"""One member of a consumer group, as its records tell of it: a value that does not change."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias
from uuid import UUID

from kpy.protocol.consumer_group_records import (
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue,
    TopicPartitions,
)

JOINING_EPOCH = 0
LEAVING_EPOCH = -1
LEAVING_FOR_A_WHILE_EPOCH = -2
"""What a static member says, and has, that will be back before its session ends."""

Assigned: TypeAlias = Mapping[UUID, Mapping[int, int]]
"""Topic id -> partition -> the epoch that it was given in (KIP-1251). No topic has an empty mapping."""

Target: TypeAlias = Mapping[UUID, frozenset[int]]
"""Topic id -> partitions that a member shall have. No topic has an empty set."""

NOTHING_ASSIGNED: Assigned = MappingProxyType({})
NO_TARGET: Target = MappingProxyType({})


class MemberState(IntEnum):
    """How far a member is on its way to its target, by the numbers in records."""

    STABLE = 0
    """It has what it shall have, as of its epoch."""

    UNREVOKED_PARTITIONS = 1
    """It has been told to give partitions up and has not said yet that it did. Its epoch waits for that."""

    UNRELEASED_PARTITIONS = 2
    """It is in the newest epoch and gets the rest of its target once the present owners have given it up."""

    UNKNOWN = 127
    """A state of a later version of Kafka. The member has to begin anew."""

    @classmethod
    def _missing_(cls, value: object) -> "MemberState":  # noqa: ARG003 - whatever it is
        return cls.UNKNOWN


class ClassicFacts(NamedTuple):
    """What there is to know of a member that speaks the classic protocol in a consumer group."""

    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]
    """Its assignment strategies with their metadata, as in its JoinGroup. Invariant: not empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerMember:
    """Who it is, what it subscribes to, and what it has.

    `assigned` is its own to read. What is in `revoking` it was told to give up and may still be reading.
    """

    member_id: str
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout_ms: int = -1
    topic_names: frozenset[str] = frozenset()
    pattern: str | None = ""
    assignor: str | None = None
    classic: ClassicFacts | None = None
    epoch: int = JOINING_EPOCH
    previous_epoch: int = -1
    state: MemberState = MemberState.STABLE
    assigned: Assigned = field(default_factory=lambda: NOTHING_ASSIGNED)
    revoking: Assigned = field(default_factory=lambda: NOTHING_ASSIGNED)

    def is_reconciled_to(self, epoch: int) -> bool:
        return self.state is MemberState.STABLE and self.epoch == epoch

    def epoch_of(self, topic_id: UUID, partition: int) -> int | None:
        """The epoch in which the member was given a partition that it has or is giving up."""
        for partitions in (self.assigned.get(topic_id), self.revoking.get(topic_id)):
            if partitions is not None and partition in partitions:
                return partitions[partition]
        return None

    def with_metadata(self, value: ConsumerGroupMemberMetadataValue) -> "ConsumerMember":
        """The member after it has said this of itself."""
        classic = value.classic_member_metadata
        return replace(
            self,
            instance_id=value.instance_id,
            rack_id=value.rack_id,
            client_id=value.client_id,
            client_host=value.client_host,
            rebalance_timeout_ms=value.rebalance_timeout_ms,
            topic_names=frozenset(value.subscribed_topic_names),
            pattern=value.subscribed_topic_regex,
            assignor=value.server_assignor,
            classic=None
            if classic is None
            else ClassicFacts(
                classic.session_timeout_ms,
                tuple((protocol.name, bytes(protocol.metadata)) for protocol in classic.supported_protocols),
            ),
        )

    def with_assignment(self, value: ConsumerGroupCurrentMemberAssignmentValue) -> "ConsumerMember":
        """The member after it has been moved on."""
        return replace(
            self,
            epoch=value.member_epoch,
            previous_epoch=value.previous_member_epoch,
            state=MemberState(value.state),
            assigned=_assigned(value.assigned_partitions, value.member_epoch),
            revoking=_assigned(value.partitions_pending_revocation, value.member_epoch),
        )

    def without_assignment(self) -> "ConsumerMember":
        """The member while it is being removed."""
        return replace(
            self,
            epoch=LEAVING_EPOCH,
            previous_epoch=LEAVING_EPOCH,
            assigned=NOTHING_ASSIGNED,
            revoking=NOTHING_ASSIGNED,
        )


def _assigned(topics: list[TopicPartitions], member_epoch: int) -> Assigned:
    """A record from before KIP-1251 has no epochs; the member's own stands in, if it is one."""
    result = {}
    for topic in topics:
        epochs = topic.assignment_epochs
        if epochs is None or len(epochs) != len(topic.partitions):
            epochs = [max(member_epoch, 0)] * len(topic.partitions)
        result[topic.topic_id] = dict(zip(topic.partitions, epochs, strict=True))
    return result

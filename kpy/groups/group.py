"""What a group is, whichever protocol its members speak: what offsets and the listing of groups need to know of one."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from kpy.protocol.group_records import OffsetCommitValue
from kpy.protocol.messages.list_groups import ListedGroup
from kpy.state_machine import Record, Timer


class GroupType(StrEnum):
    """The protocol of a group, by the name that clients see and filter by."""

    CLASSIC = "classic"
    CONSUMER = "consumer"


class Group(Protocol):
    """A group of any protocol.

    The `check_` methods raise the KafkaError that Kafka answers.
    """

    @property
    def group_id(self) -> str: ...

    @property
    def type(self) -> GroupType: ...

    @property
    def state_name(self) -> str:
        """The state as clients see it."""

    @property
    def is_empty(self) -> bool:
        """Whether nobody is in the group, nor about to be."""

    def check_commit(
        self,
        member_id: str,
        instance_id: str | None,
        generation_or_epoch: int,
        *,
        version: int,
        places: Iterable[tuple[UUID, int]],
    ) -> Timer | None:
        """Whether such a one may commit for these partitions; the session timer that the commit sets anew."""

    def check_fetch(self, member_id: str | None, member_epoch: int) -> None:
        """Whether such a one may fetch offsets."""

    def check_offset_delete(self) -> None:
        """Whether offsets may be deleted at all."""

    def check_delete(self) -> None:
        """Whether the group may be deleted."""

    def tombstones(self) -> list[Record]:
        """The records that delete the group, without its offsets."""

    def is_subscribed(self, topic: str) -> bool:
        """Whether a member reads the topic; its offsets are neither deleted nor expired then."""

    def retention_start_ms(self, committed: OffsetCommitValue) -> int | None:
        """When the retention of an offset begins (KIP-211); None while the group keeps its offsets."""

    def listed(self) -> ListedGroup:
        """The group in one line."""

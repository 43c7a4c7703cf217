"""One member of a classic group."""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kpy.protocol.group_records import MemberMetadata
from kpy.protocol.messages.join_group import JoinGroupRequestProtocol
from kpy.state_machine import ReplyTo

NO_ASSIGNMENT = b""


class ParkedJoin(NamedTuple):
    """A JoinGroup that is held until the rebalance has all it waits for."""

    to: ReplyTo
    version: int


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """Who it is, what it can do and what it is assigned.

    `protocols` maps the names of its assignment strategies, in the member's order of preference, to their metadata.
    Invariant: never empty. A new member has not had an answer to its first join yet, so nobody may expect heartbeats.
    """

    group_id: str
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: dict[str, bytes]
    assignment: bytes = NO_ASSIGNMENT
    is_new: bool = False
    session_timer: Hashable = field(init=False)

    def __post_init__(self) -> None:
        self.session_timer = session_timer(self.group_id, self.member_id)

    @classmethod
    def from_record(cls, group_id: str, protocol: str, stored: MemberMetadata) -> "Member":
        """The member as of its generation: of its strategies only the one in use was stored."""
        return cls(
            group_id=group_id,
            member_id=stored.member_id,
            instance_id=stored.group_instance_id,
            client_id=stored.client_id,
            client_host=stored.client_host,
            session_timeout_ms=stored.session_timeout,
            rebalance_timeout_ms=(
                stored.session_timeout if stored.rebalance_timeout == -1 else stored.rebalance_timeout
            ),
            protocols={protocol: bytes(stored.subscription)},
            assignment=bytes(stored.assignment),
        )

    def to_record(self, protocol: str, assignment: bytes) -> MemberMetadata:
        return MemberMetadata(
            member_id=self.member_id,
            group_instance_id=self.instance_id,
            client_id=self.client_id,
            client_host=self.client_host,
            rebalance_timeout=self.rebalance_timeout_ms,
            session_timeout=self.session_timeout_ms,
            subscription=self.protocols[protocol],
            assignment=assignment,
        )

    def matches(self, protocols: dict[str, bytes]) -> bool:
        """Whether these are the member's strategies, in its order and with its metadata."""
        return list(self.protocols.items()) == list(protocols.items())

    def vote(self, candidates: Collection[str]) -> str:
        """The candidate that it likes best. Candidates are common to all members, so there is one."""
        return next(name for name in self.protocols if name in candidates)


def session_timer(group_id: str, member_id: str) -> Hashable:
    """The key of the timer that ends a member, or the reservation of a member id."""
    return ("session", group_id, member_id)


def protocols_of(requested: Sequence[JoinGroupRequestProtocol]) -> dict[str, bytes]:
    """Name to metadata, in order of preference."""
    return {protocol.name: protocol.metadata for protocol in requested}

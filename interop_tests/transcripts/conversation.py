"""A conversation about one group: parties that send raw requests, and a transcript of all that is said.

Parties have a connection each, since a JoinGroup or SyncGroup may be held. After each request the transcript has the
replies that came of it, also to requests that were held until then, and the group as DescribeGroups shows it. Names
that differ from run to run are replaced: a member id by its readable part and a number, the group by `g`.

A transcript that is checked says which replies to wait for. One that is recorded waits until nothing comes any more.
"""

import re
import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Self

from kafka.errors import for_code
from kafka.protocol.admin import DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest
from kafka.protocol.consumer import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    OffsetCommitRequest,
    OffsetDeleteRequest,
    OffsetFetchRequest,
    SyncGroupRequest,
)

from interop_tests.brokers import Broker
from interop_tests.eventually import PATIENCE_S, eventually
from interop_tests.wire import Wire

LONG_MS = 600_000
"""A timeout that no conversation reaches."""

QUIET_S = 0.2
"""When a recording takes it that no more replies come."""

GENERATED_ID = re.compile(r"^(?P<readable>.*)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", re.DOTALL)
REPLY = re.compile(r"^  (?P<party>\S+) <- ")
STATE = "  = "
UNORDERED = {"members", "groups"}
NOT_SHOWN = {"throttle_time_ms"}
USUAL: tuple[object, ...] = (None, -1, LONG_MS, [])
"""What a request says in a field that it has no use for."""


class Party:
    """One client: what it knows of itself, and the requests that it makes of that."""

    def __init__(self, talk: "Conversation", name: str, wire: Wire, settings: Mapping[str, Any]) -> None:
        self.name = name
        self.wire = wire
        self.version: int = settings.get("version", 9)
        self.instance: str | None = settings.get("instance")
        self.session_ms: int = settings.get("session_ms", LONG_MS)
        self.rebalance_ms: int = settings.get("rebalance_ms", LONG_MS)
        self.protocols: Sequence[str] = settings.get("protocols", ("range",))
        self.metadata: bytes = settings.get("metadata", subscription(talk.topics["topic"]))
        self.protocol_type = settings.get("protocol_type", "consumer")
        self.member_id = ""
        self.generation = -1
        self.leads = False
        self.peers: list[str] = []
        self.is_held = False
        self._talk = talk

    # --- what a member says ---

    def join(self, member_id: str | None = None, reason: str | None = None) -> None:
        request = JoinGroupRequest(
            group_id=self._talk.group,
            session_timeout_ms=self.session_ms,
            rebalance_timeout_ms=self.rebalance_ms,
            member_id=self.member_id if member_id is None else member_id,
            group_instance_id=self.instance,
            protocol_type=self.protocol_type,
            protocols=[
                JoinGroupRequest.JoinGroupRequestProtocol(name=name, metadata=self.metadata) for name in self.protocols
            ],
            reason=reason,
        )
        self._talk.say(self, request, self.version, self._joined)

    def _joined(self, reply: Any) -> None:
        if reply.error_code == 79:  # MEMBER_ID_REQUIRED
            self.member_id = reply.member_id
        elif reply.error_code == 0:
            self.member_id, self.generation = reply.member_id, reply.generation_id
            self.leads = reply.leader == reply.member_id
            self.peers = [member.member_id for member in reply.members]
            self._talk.leader = reply.leader
        elif reply.error_code == 25:  # UNKNOWN_MEMBER_ID
            self.member_id, self.generation = "", -1

    def sync(self, **changes: Any) -> None:
        """A leader assigns to each of its peers what it is called in the transcript."""
        parts = [
            SyncGroupRequest.SyncGroupRequestAssignment(member_id=peer, assignment=self._talk.named(peer).encode())
            for peer in (sorted(self.peers, key=self._talk.named) if self.leads else ())
        ]
        request = SyncGroupRequest(
            **{**self._identity(), "protocol_type": self.protocol_type, "assignments": parts, **changes}
        )
        if request.protocol_name is None:
            request.protocol_name = self._talk.protocol
        self._talk.say(self, request, min(self.version, 5))

    def beat(self, **changes: Any) -> None:
        self._talk.say(self, HeartbeatRequest(**{**self._identity(), **changes}), min(self.version, 4))

    def commit(self, topic: str, *offsets: int, metadata: str | None = "", **changes: Any) -> None:
        """One offset for each partition, from 0 on."""
        Topic = OffsetCommitRequest.OffsetCommitRequestTopic  # noqa: N806
        parts = [
            Topic.OffsetCommitRequestPartition(
                partition_index=index,
                committed_offset=offset,
                committed_leader_epoch=-1,
                committed_metadata=metadata,
            )
            for index, offset in enumerate(offsets)
        ]
        identity = self._identity()
        identity["generation_id_or_member_epoch"] = identity.pop("generation_id")
        fields = {"retention_time_ms": -1, **identity, **changes}
        version = fields.pop("version", max(min(self.version, 9), 2))
        request = OffsetCommitRequest(**fields, topics=[Topic(name=topic, partitions=parts)])
        self._talk.say(self, request, version)

    def leave(self) -> None:
        """The member itself, in the version that it speaks."""
        identity = LeaveGroupRequest.MemberIdentity(
            member_id=self.member_id, group_instance_id=self.instance, reason=None
        )
        request = LeaveGroupRequest(group_id=self._talk.group, member_id=self.member_id, members=[identity])
        self._talk.say(self, request, min(self.version, 5))
        self.member_id, self.generation, self.leads = "", -1, False

    def _identity(self) -> dict[str, Any]:
        return {
            "group_id": self._talk.group,
            "generation_id": self.generation,
            "member_id": self.member_id,
            "group_instance_id": self.instance,
        }

    # --- what anybody may say of a group ---

    def remove(self, *members: tuple[str, str | None], reason: str | None = None) -> None:
        """Members by id or, with an empty one, by instance id."""
        identities = [
            LeaveGroupRequest.MemberIdentity(member_id=member, group_instance_id=instance, reason=reason)
            for member, instance in members
        ]
        self._talk.say(self, LeaveGroupRequest(group_id=self._talk.group, members=identities), min(self.version, 5))

    def fetch(self, topic: str | None, *partitions: int, version: int = 8) -> None:
        """Committed offsets of these partitions, or all there are."""
        Group = OffsetFetchRequest.OffsetFetchRequestGroup  # noqa: N806
        if version >= 8:
            topics = [Group.OffsetFetchRequestTopics(name=topic, partition_indexes=list(partitions))]
            group = Group(group_id=self._talk.group, topics=topics if topic is not None else None)
            request = OffsetFetchRequest(groups=[group])
        else:
            old = [OffsetFetchRequest.OffsetFetchRequestTopic(name=topic, partition_indexes=list(partitions))]
            request = OffsetFetchRequest(group_id=self._talk.group, topics=old if topic is not None else None)
        self._talk.say(self, request, version)

    def delete_offsets(self, topic: str, *partitions: int) -> None:
        Topic = OffsetDeleteRequest.OffsetDeleteRequestTopic  # noqa: N806
        parts = [Topic.OffsetDeleteRequestPartition(partition_index=index) for index in partitions]
        request = OffsetDeleteRequest(group_id=self._talk.group, topics=[Topic(name=topic, partitions=parts)])
        self._talk.say(self, request, 0)

    def delete_group(self) -> None:
        self._talk.say(self, DeleteGroupsRequest(groups_names=[self._talk.group]), 2)

    def list_groups(self, states: Sequence[str] = (), types: Sequence[str] = ()) -> None:
        self._talk.say(self, ListGroupsRequest(states_filter=list(states), types_filter=list(types)), 5)


class Conversation:
    """What is said; `expected` is the transcript that it must become, None while it is recorded."""

    def __init__(self, broker: Broker, group: str, topics: Mapping[str, str], expected: str | None) -> None:
        self.group = group
        self.leader = ""
        self.protocol: str | None = None
        self.members: list[str] = []
        self._state = ""
        self.lines: list[str] = []
        self.parties: dict[str, Party] = {}
        self._broker = broker
        self.topics = topics
        self._unique = {topic: name for name, topic in topics.items()} | {group: "g"}
        self._names: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._expected = None if expected is None else expected.splitlines()
        self._on_reply: dict[str, Callable[[Any], None]] = {}
        self._stack = ExitStack()
        self._watch = self.party("watch")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def party(self, name: str, **settings: Any) -> Party:
        wire = self._stack.enter_context(Wire(self._broker, client_id=settings.pop("client_id", name)))
        self.parties[name] = Party(self, name, wire, settings)
        return self.parties[name]

    def say(
        self, party: Party, request: Any, version: int, on_reply: Callable[[Any], None] = lambda reply: None
    ) -> None:
        """Send, and write down what comes of it."""
        assert not party.is_held, f"{party.name} waits for an answer"
        self._on_reply[party.name] = on_reply
        party.is_held = True
        name = type(request).__name__.removesuffix("Request")
        request.API_VERSION = version
        self._note(f"{party.name} -> {name} v{version} {self._shown(_without_usual(request.to_dict()))}")
        party.wire.socket.sendall(party.wire.frame(request, version))
        for answered in self._answered():
            self._receive(answered)
        self._describe()

    def until(self, state: str) -> None:
        """Wait for a timer of the broker to bring the group there, and write down what was answered meanwhile."""
        self._note(f"until {state}")
        eventually(lambda: self._described().startswith(state), f"the group is {state}")
        for answered in self._answered():
            self._receive(answered)
        self._describe()

    def held(self) -> list[Party]:
        return [party for party in self.parties.values() if party.is_held]

    def surplus(self) -> list[str]:
        """Parties that have a reply which the transcript knows nothing of."""
        sockets = {party.wire.socket: party.name for party in self.parties.values()}
        readable, _, _ = select.select(list(sockets), [], [], 0)
        return [sockets[socket] for socket in readable]

    def named(self, text: str) -> str:
        """The same name in every run."""
        generated = GENERATED_ID.match(text)
        if generated and text not in self._names:
            readable = generated["readable"]
            self._numbers[readable] = self._numbers.get(readable, 0) + 1
            self._names[text] = f"{readable}.{self._numbers[readable]}"
        for real, name in self._unique.items():
            text = text.replace(real, name)
        return self._names.get(text, text)

    # --- replies ---

    def _answered(self) -> Iterator[Party]:
        """The parties that are answered now: those of the transcript, or those that are while it is recorded."""
        if self._expected is None:
            yield from self._answered_in_time()
            return
        expected: list[str] = []
        for line in self._expected[len(self.lines) :]:
            reply = REPLY.match(line)
            if reply is None:
                break
            expected.append(reply["party"])
        for name in expected:
            yield self.parties[name]

    def _answered_in_time(self) -> Iterable[Party]:
        """In the order of their names, once it is quiet."""
        found: dict[str, Party] = {}
        quiet_at = time.monotonic() + QUIET_S
        while (left_s := quiet_at - time.monotonic()) > 0:
            waiting = {p.wire.socket: p for p in self.held() if p.name not in found}
            readable, _, _ = select.select(list(waiting), [], [], left_s)
            for socket in readable:
                found[waiting[socket].name] = waiting[socket]
                quiet_at = time.monotonic() + QUIET_S
        return [found[name] for name in sorted(found)]

    def _receive(self, party: Party) -> None:
        reply = party.wire.receive()
        party.is_held = False
        self._on_reply.pop(party.name)(reply)
        self.protocol = getattr(reply, "protocol_name", None) or self.protocol
        self._note(f"  {party.name} <- {self._shown(reply.to_dict())}")

    def _note(self, line: str) -> None:
        self.lines.append(line)
        if self._expected is None:
            return
        said = "\n".join(self.lines[-12:])
        expected = self._expected[len(self.lines) - 1] if len(self.lines) <= len(self._expected) else "the end"
        assert line == expected, f"after\n{said}\nexpected\n{expected}"

    # --- the group from outside ---

    def _describe(self) -> None:
        """Write down how the group is, if that is new.

        As the transcript has it, as soon as it is so: nothing tells when a request has been looked at that is held.
        """
        found = self._described()
        if self._expected is not None:
            line = self._expected[len(self.lines)] if len(self.lines) < len(self._expected) else ""
            expected = line.removeprefix(STATE) if line.startswith(STATE) else self._state
            deadline = time.monotonic() + PATIENCE_S
            while found != expected and time.monotonic() < deadline:
                found = self._described()
        if found != self._state:
            self._state = found
            self._note(f"{STATE}{found}")

    def _described(self) -> str:
        [group] = self._watch.wire.ask(DescribeGroupsRequest(groups=[self.group]), 5).groups
        self.members = [member.member_id for member in group.members]
        shown = sorted(
            f"{self.named(member.member_id)}={self._shown(member.member_assignment)}" for member in group.members
        )
        return f"{group.group_state} {group.protocol_type} {group.protocol_data} [{', '.join(shown)}]"

    def _shown(self, value: Any, key: str = "") -> str:
        if isinstance(value, dict):
            parts = [f"{name}: {self._shown(part, name)}" for name, part in value.items() if name not in NOT_SHOWN]
            return "{" + ", ".join(parts) + "}"
        if isinstance(value, list):
            if key == "groups":
                value = [part for part in value if not isinstance(part, dict) or part.get("group_id") == self.group]
            parts = [self._shown(part) for part in value]
            return "[" + ", ".join(sorted(parts) if key in UNORDERED else parts) + "]"
        if key == "error_code":
            return str(for_code(value).__name__)
        if isinstance(value, bytes):
            return repr(self.named(_subscribed(value) or value.decode("latin-1")))
        return repr(self.named(value)) if isinstance(value, str) else repr(value)


def _without_usual(value: Any) -> Any:
    """A request without what says nothing, so that what it says can be seen."""
    if isinstance(value, dict):
        return {name: _without_usual(part) for name, part in value.items() if part not in USUAL and name != "group_id"}
    return [_without_usual(part) for part in value] if isinstance(value, list) else value


def _subscribed(value: bytes) -> str | None:
    """What `subscription` has made, for people to read."""
    if len(value) < 10 or value[:2] != b"\0\0" or value[-4:] != b"\0\0\0\0":
        return None
    names, rest = [], value[6:-4]
    while rest:
        size = int.from_bytes(rest[:2], "big")
        names.append(rest[2 : 2 + size].decode("latin-1"))
        rest = rest[2 + size :]
    return f"reads {', '.join(names) or 'nothing'}"


def subscription(*topics: str) -> bytes:
    """The metadata of a consumer, version 0."""
    names = b"".join(len(topic).to_bytes(2, "big") + topic.encode() for topic in topics)
    return b"\0\0" + len(topics).to_bytes(4, "big") + names + b"\0\0\0\0"

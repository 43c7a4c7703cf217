"""Committed offsets expire soon here: with the end that a commit brings, and not while members read their topic."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from interop_tests.brokers import Broker
from interop_tests.conftest import running_with
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients
from interop_tests.transcripts.conversation import subscription
from interop_tests.wire import Dialogue
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from kpy.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from kpy.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kpy.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from kpy.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse

LONG_MS = 60_000
BRIEF_MS = 500


@pytest.fixture(scope="module")
def expiring_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker that looks for what has expired five times a second."""
    with running_with(request.config, {"offsets.retention.check.interval.ms": "200"}) as broker:
        yield broker


@pytest.fixture
def broker(expiring_broker: Broker) -> Broker:
    """All that the scenarios here are given is of that one."""
    return expiring_broker


class Committer:
    """Commits with an end of their own, which only the versions 2 to 4 of OffsetCommit have."""

    def __init__(self, dialogue: Dialogue, group: str) -> None:
        self._dialogue = dialogue
        self._group = group
        self._member_id = ""
        self._generation = -1

    def join(self, topic: str) -> None:
        """Be the one member of the group, subscribed to that topic."""
        joining = JoinGroupRequest(
            group_id=self._group,
            session_timeout_ms=LONG_MS,
            rebalance_timeout_ms=LONG_MS,
            member_id="",
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=subscription(topic))],
        )
        joined = self._dialogue.ask(joining, JoinGroupResponse, 3)
        assert joined.error_code == ErrorCode.NONE
        self._member_id, self._generation = joined.member_id, joined.generation_id
        mine = SyncGroupRequestAssignment(member_id=self._member_id, assignment=b"")
        syncing = SyncGroupRequest(
            group_id=self._group, generation_id=self._generation, member_id=self._member_id, assignments=[mine]
        )
        assert self._dialogue.ask(syncing, SyncGroupResponse, 2).error_code == ErrorCode.NONE

    def leave(self) -> None:
        leaving = LeaveGroupRequest(group_id=self._group, member_id=self._member_id)
        assert self._dialogue.ask(leaving, LeaveGroupResponse, 2).error_code == ErrorCode.NONE

    def commit(self, *topics: str, retention_ms: int) -> None:
        partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=7, committed_metadata="")
        request = OffsetCommitRequest(
            group_id=self._group,
            generation_id_or_member_epoch=self._generation,
            member_id=self._member_id,
            retention_time_ms=retention_ms,
            topics=[OffsetCommitRequestTopic(name=topic, partitions=[partition]) for topic in topics],
        )
        answered = self._dialogue.ask(request, OffsetCommitResponse, 4).topics
        assert [topic.partitions[0].error_code for topic in answered] == [ErrorCode.NONE] * len(topics)

    def committed(self) -> set[str]:
        """The topics that something is committed for."""
        found = self._dialogue.ask(OffsetFetchRequest(group_id=self._group, topics=None), OffsetFetchResponse, 5)
        return {topic.name for topic in found.topics}


@pytest.fixture
def committer(broker: Broker, group: str) -> Iterator[Committer]:
    with closing(Dialogue(broker)) as dialogue:
        yield Committer(dialogue, group)


def test_commits_that_bring_their_own_end(committer: Committer, clients: Clients, group: str) -> None:
    """They are forgotten soon, a group with nothing else too; those of a later end, or of the broker's, are not."""
    brief, later, ordinary = (clients.topic() for _ in range(3))
    committer.commit(later, retention_ms=LONG_MS)
    committer.commit(ordinary, retention_ms=-1)
    committer.commit(brief, retention_ms=BRIEF_MS)
    eventually(lambda: committer.committed() == {later, ordinary}, "one commit is forgotten")

    committer.commit(later, ordinary, retention_ms=BRIEF_MS)
    eventually(
        lambda: group not in {listed["group_id"] for listed in clients.admin.list_groups()}, "the group is forgotten"
    )
    assert committer.committed() == set()


def test_nothing_expires_that_members_read(committer: Committer, clients: Clients) -> None:
    """Not while they are subscribed to its topic; when they have left it does (KIP-211)."""
    read, unread = clients.topic(), clients.topic()
    committer.join(read)
    committer.commit(read, unread, retention_ms=BRIEF_MS)
    eventually(lambda: committer.committed() == {read}, "what nobody reads is forgotten")

    committer.leave()
    eventually(lambda: committer.committed() == set(), "what nobody reads any more is forgotten")

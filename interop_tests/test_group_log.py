"""What a broker writes down of its groups, read by Apache Kafka's DumpLogSegments with the decoder of offsets.

Groups of both protocols are made, changed and deleted; the broker is stopped, and the tool looks at every partition of
`__consumer_offsets`. The same holds of what Apache Kafka itself wrote.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from kafka import OffsetAndMetadata, TopicPartition

from interop_tests.conftest import running_with
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, collect_assignment, produce
from interop_tests.oracle.log_dump import Dump, dump, log_files
from interop_tests.wire import Dialogue
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from kpy.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)

LONG_MS = 60_000
JOINING, LEAVING = 0, -1
CLASSIC_GROUP = 2
CONSUMER_GROUP, MEMBER, TARGET, TARGET_OF_MEMBER, ASSIGNMENT, PATTERN = 3, 5, 6, 7, 8, 16
OFFSET = 1
"""Types of records, as the versions of their keys in `__consumer_offsets` number them."""


class ModernMember:
    """A member of the consumer protocol, to the byte."""

    def __init__(self, dialogue: Dialogue, group: str, name: str, **subscription: Any) -> None:
        self.epoch = JOINING
        self._dialogue = dialogue
        self._group = group
        self._name = name
        self._subscription = subscription

    def beat(self) -> Any:
        """Say all that there is to say, and owe nothing."""
        request = ConsumerGroupHeartbeatRequest(
            group_id=self._group,
            member_id=self._name,
            member_epoch=self.epoch,
            rebalance_timeout_ms=LONG_MS,
            topic_partitions=[],
            **self._subscription,
        )
        answer = self._dialogue.ask(request, ConsumerGroupHeartbeatResponse, 1)
        if answer.error_code == ErrorCode.NONE:
            self.epoch = answer.member_epoch
        return answer

    def is_assigned(self) -> bool:
        assignment = self.beat().assignment
        return assignment is not None and bool(assignment.topic_partitions)

    def commit(self, topic: str, partition: int, offset: int) -> None:
        part = OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_metadata="by a member"
        )
        request = OffsetCommitRequest(
            group_id=self._group,
            generation_id_or_member_epoch=self.epoch,
            member_id=self._name,
            topics=[OffsetCommitRequestTopic(name=topic, partitions=[part])],
        )
        [answer] = self._dialogue.ask(request, OffsetCommitResponse, 9).topics
        assert answer.partitions[0].error_code == ErrorCode.NONE

    def leave(self) -> None:
        self.epoch = LEAVING
        assert self.beat().error_code == ErrorCode.NONE


@dataclass
class GroupLog:
    """Names that the story gave, and what the tool says of the files."""

    topic: str = ""
    classic: str = ""
    simple: str = ""
    deleted: str = ""
    modern: str = ""
    left: str = ""
    dump: Dump = field(default_factory=Dump)

    def records(self) -> Iterator[tuple[int, dict[str, Any], Any]]:
        """Type, key and value of every record, in the order of each partition; a value is None where it is deleted."""
        for file in self.dump.files.values():
            for record in file.records:
                key = json.loads(record.key or "null")
                value = None if record.value == "<DELETE>" else json.loads(record.value or "null")
                yield int(key["type"]), key["data"], value and value["data"]

    def last(self) -> dict[tuple[int, tuple[Any, ...]], Any]:
        """The last value of every key, by type and the key's fields."""
        return {(kind, tuple(key.values())): value for kind, key, value in self.records()}


def tell(clients: Clients, dialogue: Dialogue, log: GroupLog) -> None:
    """Groups of every kind, and what may happen to them."""
    log.topic = clients.topic(partitions=2)
    parts = [TopicPartition(log.topic, number) for number in range(2)]
    produce(clients, log.topic, [b"%d" % number for number in range(20)])

    classic = clients.consumer(log.topic, group_id=log.classic, enable_auto_commit=False, client_id="a member")

    def is_assigned() -> bool:
        classic.poll(timeout_ms=100)
        collect_assignment(classic)
        return bool(classic.assignment() == set(parts))

    eventually(is_assigned, "an assignment")
    classic.commit({parts[0]: OffsetAndMetadata(5, "five", -1)})
    classic.commit({parts[0]: OffsetAndMetadata(6, "six", -1), parts[1]: OffsetAndMetadata(0, "", -1)})

    for group in (log.simple, log.deleted):
        consumer = clients.consumer(group_id=group, enable_auto_commit=False)
        consumer.assign(parts)
        consumer.commit({part: OffsetAndMetadata(3, "simple", -1) for part in parts})
    clients.admin.delete_group_offsets(log.simple, [parts[1]])
    clients.admin.delete_groups([log.deleted])

    one = ModernMember(dialogue, log.modern, "one", subscribed_topic_names=[log.topic], server_assignor="range")
    eventually(one.is_assigned, "an assignment of the first")
    one.commit(log.topic, 0, 9)
    two = ModernMember(dialogue, log.modern, "two", subscribed_topic_names=[], subscribed_topic_regex=f"{log.topic}.*")
    eventually(lambda: bool(one.beat()) and two.is_assigned(), "an assignment of the second")

    gone = ModernMember(dialogue, log.left, "gone", subscribed_topic_names=[log.topic])
    eventually(gone.is_assigned, "an assignment of one that leaves")
    gone.leave()


@pytest.fixture(scope="module")
def group_log(request: pytest.FixtureRequest) -> Iterator[GroupLog]:
    """A broker that was told the story, and stopped."""
    numbers = count()
    log = GroupLog(classic="classic", simple="simple", deleted="deleted", modern="modern", left="left")
    with running_with(request.config, {}) as broker, ExitStack() as stack:
        dialogue = stack.enter_context(closing(Dialogue(broker)))
        tell(Clients(broker.bootstrap, stack, lambda prefix: f"{prefix}-{next(numbers)}"), dialogue, log)
        stack.close()
        broker.stop()
        files = [
            file for file in log_files(broker.data_directory) if file.parent.name.startswith("__consumer_offsets-")
        ]
        log.dump = dump(files, "--offsets-decoder")
        yield log


def test_every_record_is_known(group_log: GroupLog) -> None:
    """The tool finds no fault, decodes every record, and there are records of every type that groups have."""
    assert group_log.dump.faults == []
    assert [record for record in group_log.records() if "unknown" in record[1:]] == []
    assert {kind for kind, _, _ in group_log.records()} == {
        OFFSET,
        CLASSIC_GROUP,
        CONSUMER_GROUP,
        MEMBER,
        TARGET,
        TARGET_OF_MEMBER,
        ASSIGNMENT,
        PATTERN,
    }


VARYING = {
    "topicId",
    "metadataHash",
    "version",
    "timestamp",
    "commitTimestamp",
    "currentStateTimestamp",
    "assignmentTimestamp",
    "generation",
    "previousMemberEpoch",
}
"""Fields that are of the moment or of the broker, or count how often a member has asked."""


def constant(value: Any) -> Any:
    """The same without what varies."""
    if isinstance(value, list):
        return [constant(one) for one in value]
    if isinstance(value, dict):
        return {name: constant(one) for name, one in value.items() if name not in VARYING}
    return value


def test_what_is_left(group_log: GroupLog) -> None:
    """Of every key the last record says what the group was when the broker stopped; what was deleted has tombstones."""
    last = {key: constant(value) for key, value in group_log.last().items()}
    assert last == {**classic_groups(group_log), **modern_groups(group_log)}


def classic_groups(log: GroupLog) -> dict[tuple[int, tuple[Any, ...]], Any]:
    """Of one whose member has left, one that only committed, and one that was deleted."""
    return {
        (CLASSIC_GROUP, (log.classic,)): {"protocolType": "consumer", "protocol": None, "leader": None, "members": []},
        (OFFSET, (log.classic, log.topic, 0)): {"offset": 6, "leaderEpoch": -1, "metadata": "six"},
        (OFFSET, (log.classic, log.topic, 1)): {"offset": 0, "leaderEpoch": -1, "metadata": ""},
        (OFFSET, (log.simple, log.topic, 0)): {"offset": 3, "leaderEpoch": -1, "metadata": "simple"},
        (OFFSET, (log.simple, log.topic, 1)): None,
        (CLASSIC_GROUP, (log.deleted,)): None,
        (OFFSET, (log.deleted, log.topic, 0)): None,
        (OFFSET, (log.deleted, log.topic, 1)): None,
    }


def modern_groups(log: GroupLog) -> dict[tuple[int, tuple[Any, ...]], Any]:
    """Of one with two members, and one whose member has left."""
    member: dict[str, Any] = {
        "instanceId": None,
        "rackId": None,
        "clientId": "talk",
        "clientHost": "/127.0.0.1",
        "rebalanceTimeoutMs": LONG_MS,
        "classicMemberMetadata": None,
    }
    pattern = f"{log.topic}.*"
    subscriptions: dict[str, dict[str, Any]] = {
        "one": {"subscribedTopicNames": [log.topic], "subscribedTopicRegex": "", "serverAssignor": "range"},
        "two": {"subscribedTopicNames": [], "subscribedTopicRegex": pattern, "serverAssignor": None},
    }
    left: dict[tuple[int, tuple[Any, ...]], Any] = {
        (CONSUMER_GROUP, (log.modern,)): {"epoch": 3},
        (TARGET, (log.modern,)): {"assignmentEpoch": 3},
        (PATTERN, (log.modern, pattern)): {"topics": [log.topic]},
        (OFFSET, (log.modern, log.topic, 0)): {"offset": 9, "leaderEpoch": -1, "metadata": "by a member"},
        (CONSUMER_GROUP, (log.left,)): {"epoch": 3},
        (TARGET, (log.left,)): {"assignmentEpoch": 2},
        **{(kind, (log.left, "gone")): None for kind in (MEMBER, TARGET_OF_MEMBER, ASSIGNMENT)},
    }
    for partition, (name, subscription) in enumerate(subscriptions.items()):
        owned = {"partitions": [partition], "assignmentEpochs": [2 + partition]}
        left[MEMBER, (log.modern, name)] = {**member, **subscription}
        left[TARGET_OF_MEMBER, (log.modern, name)] = {"topicPartitions": [{"partitions": [partition]}]}
        left[ASSIGNMENT, (log.modern, name)] = {
            "memberEpoch": 3,
            "state": 0,
            "assignedPartitions": [owned],
            "partitionsPendingRevocation": [],
        }
    return left

"""What a broker remembers over a clean stop and over kill -9: everything that it ever answered.

The state is made once, the broker restarted once for each way of ending, and each test looks at one part of it.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.protocol.consumer import OffsetForLeaderEpochRequest
from kafka.protocol.producer import InitProducerIdRequest

from interop_tests.brokers import Broker
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, partitions_of, poll_until, produce, values_of
from interop_tests.wire import Wire, append, batch
from tests.sweeps import examples

OUT_OF_ORDER_SEQUENCE_NUMBER = 45


def new_producer_ids(broker: Broker, count: int) -> list[int]:
    with Wire(broker) as wire:

        def ask() -> Any:
            answer = wire.ask(InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1000), 4)
            return answer if answer.error_code == 0 else None  # Apache Kafka is still loading just after its start

        return [eventually(ask, "a producer id").producer_id for _ in range(count)]


def idempotent_append(broker: Broker, topic: str, producer_id: int, sequence: int) -> tuple[int, int]:
    """Error code and base offset of one record with that sequence number."""
    # Of today: what a producer wrote more than a day ago does not keep its id alive (producer.id.expiration.ms).
    now_ms = int(time.time() * 1000)
    records = batch(
        [b"%d" % sequence], producer_id=producer_id, producer_epoch=0, sequence=sequence, timestamp_ms=now_ms
    )
    return append(broker, topic, records)


def epoch_end_offset(broker: Broker, topic: str, leader_epoch: int) -> int:
    """Where the records of a leader epoch end."""
    Topic = OffsetForLeaderEpochRequest.OffsetForLeaderTopic  # noqa: N806
    part = Topic.OffsetForLeaderPartition(partition=0, current_leader_epoch=-1, leader_epoch=leader_epoch)
    request = OffsetForLeaderEpochRequest(replica_id=-1, topics=[Topic(topic=topic, partitions=[part])])
    with Wire(broker) as wire:
        [answer] = wire.ask(request, 4).topics
    return int(answer.partitions[0].end_offset)


@dataclass
class Before:
    """What was true before the broker went."""

    broker: Broker
    clients: Clients
    topics: dict[str, dict[str, Any]] = field(default_factory=dict)
    cluster: dict[str, Any] = field(default_factory=dict)
    grown: str = ""
    configured: str = ""
    recreated: str = ""
    deleted: str = ""
    group: str = ""
    producer_id: int = -1
    producer_ids: set[int] = field(default_factory=set)
    end_offsets: dict[TopicPartition, int] = field(default_factory=dict)


@pytest.fixture(scope="module", params=[False, True], ids=["killed", "stopped"])
def before(request: pytest.FixtureRequest, session_broker: Broker) -> Iterator[Before]:
    """A broker that was restarted after all this had happened to it."""
    if not session_broker.restartable:
        pytest.skip(f"{session_broker.name} cannot be restarted: it is not ours, or keeps nothing")
    with ExitStack() as stack:
        state = Before(session_broker, new_clients(session_broker, stack))
        _make_topics(state)
        _make_offsets(state)
        _make_producers(state)
        _describe(state)
    session_broker.restart(clean=request.param)
    with ExitStack() as stack:
        state.clients = new_clients(session_broker, stack)
        eventually(lambda: _serves(state), "everything is served", ignoring=(KafkaError,))
        yield state


def _serves(state: Before) -> bool:
    """Apache Kafka takes partitions and groups over one by one after its start, and says so until then."""
    admin = state.clients.admin
    admin.wait_for_topics([state.grown, state.configured, state.recreated])
    admin.list_group_offsets(state.group)
    parts = [*partitions_of(state.grown, 3), *partitions_of(state.configured, 2), *partitions_of(state.recreated, 2)]
    admin.list_partition_offsets(dict.fromkeys(parts, OffsetSpec.LATEST))
    return True


def new_clients(broker: Broker, stack: ExitStack) -> Clients:
    return Clients(broker.bootstrap, stack, lambda prefix: f"{prefix}-{uuid.uuid4().hex[:10]}")


def _make_topics(state: Before) -> None:
    clients = state.clients
    state.grown = clients.topic(partitions=1, name="grown")
    state.configured = clients.topic(partitions=2, name="configured", retention_ms=123_456_789)
    state.recreated = clients.topic(partitions=3, name="recreated")
    state.deleted = clients.topic(name="deleted")
    clients.admin.create_partitions({state.grown: 3})
    clients.admin.alter_configs([ConfigResource("TOPIC", state.configured, {"max.message.bytes": "5000"})])
    for partition in range(3):
        produce(clients, state.grown, [b"%d" % number for number in range(20)], partition=partition)
    clients.admin.delete_records({TopicPartition(state.grown, 1): 5})


def _make_offsets(state: Before) -> None:
    clients = state.clients
    state.group = clients.unique("group")
    consumer = clients.consumer(group_id=state.group, enable_auto_commit=False)
    consumer.assign([*partitions_of(state.grown, 3), *partitions_of(state.recreated, 3)])
    produce(clients, state.recreated, [b"old"] * 10)
    commits = {TopicPartition(state.grown, p): OffsetAndMetadata(p + 1, f"note {p}", -1) for p in range(3)}
    consumer.commit({**commits, TopicPartition(state.recreated, 0): OffsetAndMetadata(9, "old", -1)})
    consumer.commit({TopicPartition(state.grown, 0): OffsetAndMetadata(7, "moved", -1)})


def _make_producers(state: Before) -> None:
    state.producer_ids = set(new_producer_ids(state.broker, 3))
    state.producer_id = max(state.producer_ids)
    for sequence in range(3):
        assert idempotent_append(state.broker, state.configured, state.producer_id, sequence) == (0, sequence)


def _describe(state: Before) -> None:
    admin = state.clients.admin
    old = admin.describe_topics([state.recreated])[0]["topic_id"]
    admin.delete_topics([state.recreated, state.deleted])

    def create_again() -> bool:
        admin.create_topics({state.recreated: {"num_partitions": 2}}, wait_for_metadata=True)
        return True

    eventually(create_again, "the name is free", ignoring=(TopicAlreadyExistsError,))
    names = [state.grown, state.configured, state.recreated]
    state.topics = {topic["name"]: topic for topic in admin.describe_topics(names)}
    state.topics["old"] = {"topic_id": old}
    state.cluster = admin.describe_cluster()
    state.end_offsets = state.clients.consumer().end_offsets(partitions_of(state.grown, 3))


def test_the_cluster_is_the_same(before: Before) -> None:
    """Cluster id, broker id and address stay."""
    after = before.clients.admin.describe_cluster()
    for key in ("cluster_id", "controller_id", "brokers"):
        assert after[key] == before.cluster[key]


def test_topics_ids_and_partitions(before: Before) -> None:
    """Each topic has its id and its partition count, and the deleted one is not there."""
    for name in (before.grown, before.configured, before.recreated):
        [after] = before.clients.admin.describe_topics([name])
        assert after["topic_id"] == before.topics[name]["topic_id"]
        assert len(after["partitions"]) == len(before.topics[name]["partitions"])
    assert before.deleted not in before.clients.admin.list_topics()


def test_leader_epochs(before: Before) -> None:
    """No partition's leader epoch goes back, and the end of the old epoch is still known."""
    for name in (before.grown, before.configured):
        [after] = before.clients.admin.describe_topics([name])
        old = {part["partition_index"]: part["leader_epoch"] for part in before.topics[name]["partitions"]}
        assert all(part["leader_epoch"] >= old[part["partition_index"]] for part in after["partitions"])
    [first, *_] = before.topics[before.grown]["partitions"]
    eventually(
        lambda: epoch_end_offset(before.broker, before.grown, first["leader_epoch"]) >= 20, "the end of the old epoch"
    )


def test_topic_configs(before: Before) -> None:
    """Configs of the creation and of later changes, each with the topic as its source."""
    resource = ConfigResource("TOPIC", before.configured)
    after = before.clients.admin.describe_configs([resource], config_filter="all")["topic"][before.configured]
    for name, value in (("retention.ms", "123456789"), ("max.message.bytes", "5000")):
        assert (after[name]["value"], after[name]["config_source"]) == (value, "DYNAMIC_TOPIC_CONFIG")


def test_records_and_log_bounds(before: Before) -> None:
    """Every acknowledged record is there, every deleted one is not."""
    partitions = partitions_of(before.grown, 3)
    consumer = before.clients.consumer()
    ends = consumer.end_offsets(partitions)
    assert all(ends[partition] >= end for partition, end in before.end_offsets.items())
    assert consumer.beginning_offsets(partitions) == dict(zip(partitions, (0, 5, 0), strict=True))
    consumer.assign([partitions[1]])
    assert values_of(poll_until(consumer, 15))[:15] == [b"%d" % number for number in range(5, 20)]


def test_appends_go_on(before: Before) -> None:
    """The next record has the next offset."""
    partition = TopicPartition(before.grown, 2)
    end = before.clients.consumer().end_offsets([partition])[partition]
    sent = before.clients.producer().send(before.grown, b"after", partition=2).get(timeout=20)
    assert sent.offset == end


def test_committed_offsets(before: Before) -> None:
    """The last commit of each partition counts, with its metadata, and a new consumer starts there."""
    offsets = before.clients.admin.list_group_offsets(before.group)[before.group]
    for index, (offset, note) in enumerate([(7, "moved"), (2, "note 1"), (3, "note 2")]):
        committed = offsets[TopicPartition(before.grown, index)]
        assert (committed.offset, committed.metadata) == (offset, note)
    consumer = before.clients.consumer(group_id=before.group, enable_auto_commit=False)
    consumer.assign([TopicPartition(before.grown, 0)])
    assert poll_until(consumer, 1)[0].offset == 7


def test_a_topic_created_again_has_nothing_of_the_old_one(before: Before) -> None:
    """A new id, no records, no committed offsets, and its own number of partitions."""
    [after] = before.clients.admin.describe_topics([before.recreated])
    assert after["topic_id"] != before.topics["old"]["topic_id"]
    assert len(after["partitions"]) == 2
    partitions = partitions_of(before.recreated, 2)
    assert set(before.clients.consumer().end_offsets(partitions).values()) == {0}
    assert not {
        tp for tp in before.clients.admin.list_group_offsets(before.group)[before.group] if tp.topic == before.recreated
    }


def test_idempotent_producers_are_known_again(before: Before) -> None:
    """A batch sent again is not stored again, a gap in the sequence is refused, and the next number is welcome."""
    assert idempotent_append(before.broker, before.configured, before.producer_id, 2) == (0, 2)
    assert idempotent_append(before.broker, before.configured, before.producer_id, 4)[0] == OUT_OF_ORDER_SEQUENCE_NUMBER
    assert idempotent_append(before.broker, before.configured, before.producer_id, 3) == (0, 3)


def test_producer_ids_are_never_given_twice(before: Before) -> None:
    """No producer id of before comes again."""
    assert not before.producer_ids & set(new_producer_ids(before.broker, 5))


def test_producer_ids_over_many_kills(restartable_broker: Broker, request: pytest.FixtureRequest) -> None:
    """Killed again and again right after giving an id, the broker still gives a new one each time."""
    rounds = examples(2 if restartable_broker.name == "kafka" else 6)
    given = []
    for _ in range(rounds):
        given += new_producer_ids(restartable_broker, 2)
        restartable_broker.restart(clean=False)
    given += new_producer_ids(restartable_broker, 2)
    assert len(set(given)) == len(given)


def test_kill_under_load(clients: Clients, restartable_broker: Broker) -> None:
    """An idempotent producer that sends as fast as it can over a kill ends with each record stored once, in order."""
    topic = clients.topic(partitions=2)
    producer = clients.producer(retry_backoff_ms=50, reconnect_backoff_max_ms=200, linger_ms=1)
    pending = [producer.send(topic, b"%d" % number, partition=number % 2) for number in range(2000)]
    eventually(lambda: sum(future.is_done for future in pending) > 200, "the first acknowledgements")
    restartable_broker.kill()
    pending += [producer.send(topic, b"%d" % number, partition=number % 2) for number in range(2000, 3000)]
    restartable_broker.start()
    pending += [producer.send(topic, b"%d" % number, partition=number % 2) for number in range(3000, 4000)]
    producer.flush(timeout=60)
    for future in pending:
        future.get(timeout=20)
    for partition in range(2):
        consumer = clients.consumer()
        consumer.assign([TopicPartition(topic, partition)])
        assert consumer.end_offsets([TopicPartition(topic, partition)]) == {TopicPartition(topic, partition): 2000}
        assert values_of(poll_until(consumer, 2000)) == [b"%d" % number for number in range(partition, 4000, 2)]

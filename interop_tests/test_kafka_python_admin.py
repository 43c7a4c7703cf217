"""kafka-python's admin client: topics, partitions, configs, groups, offsets, records, and the cluster."""

import uuid
from collections.abc import Callable

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, MemberToRemove, OffsetSpec, OffsetTimestamp
from kafka.errors import (
    BrokerResponseError,
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    NonEmptyGroupError,
    OffsetOutOfRangeError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

from interop_tests.brokers import Broker
from interop_tests.eventually import eventually
from interop_tests.kafka_python_clients import Clients, partitions_of, poll_until, produce

MESSAGE_TOO_LARGE = 10


def topic_config(clients: Clients, topic: str, config_filter: str = "all") -> dict[str, dict[str, object]]:
    return clients.admin.describe_configs([ConfigResource("TOPIC", topic)], config_filter=config_filter)["topic"][topic]  # type: ignore[no-any-return]


def commit(clients: Clients, group: str, offsets: dict[TopicPartition, int]) -> None:
    consumer = clients.consumer(group_id=group, enable_auto_commit=False)
    consumer.assign(list(offsets))
    consumer.commit({partition: OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()})


def test_create_describe_list_and_delete_a_topic(clients: Clients, unique: Callable[[str], str]) -> None:
    """A topic is there with its id, partitions and leader after its creation, and nowhere after its deletion."""
    topic = unique("topic")
    [created] = clients.admin.create_topics(
        {topic: {"num_partitions": 3, "replication_factor": 1}}, wait_for_metadata=True
    )["topics"]
    assert (created["name"], created["num_partitions"], created["replication_factor"]) == (topic, 3, 1)
    [described] = clients.admin.describe_topics([topic])
    assert described["topic_id"] == created["topic_id"] != str(uuid.UUID(int=0))
    node = clients.admin.describe_cluster()["controller_id"]
    assert [
        (p["partition_index"], p["leader_id"], p["replica_nodes"], p["isr_nodes"]) for p in described["partitions"]
    ] == [(index, node, [node], [node]) for index in range(3)]
    assert topic in clients.admin.list_topics()
    assert clients.admin.describe_topics([uuid.UUID(created["topic_id"])])[0]["name"] == topic
    clients.admin.delete_topics([topic])
    eventually(lambda: topic not in clients.admin.list_topics(), "the topic is gone")


def test_topic_defaults_and_assignments(clients: Clients, unique: Callable[[str], str]) -> None:
    """Without numbers a topic gets the broker's defaults; with an assignment it gets that."""
    node = clients.admin.describe_cluster()["controller_id"]
    plain, assigned = unique("topic"), unique("topic")
    created = clients.admin.create_topics(
        {plain: {}, assigned: {"assignments": {0: [node], 1: [node]}}}, wait_for_metadata=True
    )
    assert {topic["name"]: topic["num_partitions"] for topic in created["topics"]} == {plain: 4, assigned: 2}


def test_a_topic_may_be_deleted_by_id(clients: Clients) -> None:
    topic = clients.topic()
    [described] = clients.admin.describe_topics([topic])
    clients.admin.delete_topics([uuid.UUID(described["topic_id"])])
    eventually(lambda: topic not in clients.admin.list_topics(), "the topic is gone")


def test_created_again_a_topic_is_another_one(clients: Clients, unique: Callable[[str], str]) -> None:
    """The same name after a deletion has a new id and none of the old records."""
    topic = clients.topic(partitions=2)
    produce(clients, topic, [b"old"] * 5)
    [before] = clients.admin.describe_topics([topic])
    clients.admin.delete_topics([topic])

    def create_again() -> bool:
        clients.admin.create_topics({topic: {"num_partitions": 1}}, wait_for_metadata=True)
        return True

    eventually(create_again, "the name is free", ignoring=(TopicAlreadyExistsError,))
    [after] = clients.admin.describe_topics([topic])
    assert after["topic_id"] != before["topic_id"]
    assert clients.consumer().end_offsets(partitions_of(topic, 1)) == {TopicPartition(topic, 0): 0}
    produce(clients, topic, [b"new"])
    consumer = clients.consumer()
    consumer.assign(partitions_of(topic, 1))
    assert [(record.offset, record.value) for record in poll_until(consumer, 1)] == [(0, b"new")]


@pytest.mark.parametrize(
    ("name", "settings", "error"),
    [
        ("no spaces", {}, InvalidTopicError),
        ("..", {}, InvalidTopicError),
        ("x" * 250, {}, InvalidTopicError),
        (None, {"num_partitions": 0}, InvalidPartitionsError),
        (None, {"replication_factor": 3}, InvalidReplicationFactorError),
        (None, {"replication_factor": 0}, InvalidReplicationFactorError),
        (None, {"configs": {"no.such.config": "1"}}, InvalidConfigurationError),
        (None, {"configs": {"retention.ms": "soon"}}, InvalidConfigurationError),
    ],
)
def test_topics_that_cannot_be(
    clients: Clients,
    unique: Callable[[str], str],
    name: str | None,
    settings: dict[str, object],
    error: type[Exception],
) -> None:
    """What Kafka refuses to create is refused with its error, and does not exist afterwards."""
    topic = name or unique("topic")
    with pytest.raises(error):
        clients.admin.create_topics({topic: settings})
    assert topic not in clients.admin.list_topics()


def test_a_topic_that_exists_is_not_created(clients: Clients) -> None:
    topic = clients.topic()
    with pytest.raises(TopicAlreadyExistsError):
        clients.admin.create_topics({topic: {}})


def test_unknown_topics_are_errors(clients: Clients, unique: Callable[[str], str]) -> None:
    with pytest.raises(UnknownTopicOrPartitionError):
        clients.admin.delete_topics([unique("topic")])
    with pytest.raises(UnknownTopicOrPartitionError):
        clients.admin.create_partitions({unique("topic"): 2})


def test_validation_changes_nothing(clients: Clients, unique: Callable[[str], str]) -> None:
    """validate_only says what would happen, and nothing happens."""
    topic, other = clients.topic(partitions=2), unique("topic")
    clients.admin.create_topics({other: {}}, validate_only=True)
    clients.admin.create_partitions({topic: 5}, validate_only=True)
    clients.admin.alter_configs([ConfigResource("TOPIC", topic, {"retention.ms": "1000"})], validate_only=True)
    assert other not in clients.admin.list_topics()
    assert len(clients.admin.describe_topics([topic])[0]["partitions"]) == 2
    assert topic_config(clients, topic)["retention.ms"]["value"] == "604800000"


def test_partitions_may_only_grow(clients: Clients) -> None:
    topic = clients.topic(partitions=2)
    clients.admin.create_partitions({topic: 5})
    eventually(lambda: len(clients.admin.describe_topics([topic])[0]["partitions"]) == 5, "five partitions")
    for count in (5, 3):
        with pytest.raises(InvalidPartitionsError):
            clients.admin.create_partitions({topic: count})
    produce(clients, topic, [b"x"], partition=4)


def test_describe_topic_partitions_in_pages(clients: Clients) -> None:
    """DescribeTopicPartitions stops at its limit and says where to go on (KIP-966)."""
    topic = clients.topic(partitions=5)
    first = clients.admin.describe_topic_partitions([topic], response_partition_limit=3)
    assert [p["partition_index"] for p in first["topics"][0]["partitions"]] == [0, 1, 2]
    cursor = first["next_cursor"]
    assert (cursor["topic_name"], cursor["partition_index"]) == (topic, 3)
    rest = clients.admin.describe_topic_partitions([topic], response_partition_limit=3, cursor=cursor)
    assert [p["partition_index"] for p in rest["topics"][0]["partitions"]] == [3, 4]
    assert rest["next_cursor"] is None


def test_topic_configs(clients: Clients) -> None:
    """A config is at its default, then at the topic's own value, then back; each says where its value comes from."""
    topic = clients.topic(retention_ms=5000)
    before = topic_config(clients, topic)
    assert (before["retention.ms"]["value"], before["retention.ms"]["config_source"]) == (
        "5000",
        "DYNAMIC_TOPIC_CONFIG",
    )
    assert (before["segment.bytes"]["value"], before["segment.bytes"]["config_source"]) == (
        "1073741824",
        "DEFAULT_CONFIG",
    )
    clients.admin.alter_configs(
        [ConfigResource("TOPIC", topic, {"segment.bytes": "2000000", "cleanup.policy": "compact"})]
    )
    eventually(lambda: topic_config(clients, topic)["segment.bytes"]["value"] == "2000000", "the new value")
    assert topic_config(clients, topic)["retention.ms"]["value"] == "5000"
    clients.admin.reset_configs([ConfigResource("TOPIC", topic, ["retention.ms", "cleanup.policy"])])
    eventually(lambda: topic_config(clients, topic)["retention.ms"]["value"] == "604800000", "the default again")
    own = {
        name: entry["value"]
        for name, entry in topic_config(clients, topic, "modified").items()
        if entry["config_source"] == "DYNAMIC_TOPIC_CONFIG"
    }
    assert own == {"segment.bytes": "2000000"}


def test_alter_and_reset_configs_in_the_old_way(clients: Clients) -> None:
    """Without incremental the client sends all that shall stay, and what it leaves out goes back to its default."""
    topic = clients.topic(retention_ms=5000)
    clients.admin.alter_configs([ConfigResource("TOPIC", topic, {"segment.bytes": "2000000"})], incremental=False)
    eventually(lambda: topic_config(clients, topic)["segment.bytes"]["value"] == "2000000", "the new value")
    assert topic_config(clients, topic)["retention.ms"]["value"] == "5000"
    clients.admin.reset_configs([ConfigResource("TOPIC", topic, ["retention.ms"])], incremental=False)
    eventually(lambda: topic_config(clients, topic)["retention.ms"]["value"] == "604800000", "the default again")
    assert topic_config(clients, topic)["segment.bytes"]["value"] == "2000000"


def test_bad_config_values_are_refused(clients: Clients) -> None:
    topic = clients.topic()
    for configs in ({"max.message.bytes": "-1"}, {"message.timestamp.type": "Sometimes"}, {"retention.ms": "soon"}):
        outcome = clients.admin.alter_configs([ConfigResource("TOPIC", topic, configs)])["topic"][topic]
        assert "InvalidConfigurationError" in outcome


def test_an_altered_config_takes_effect(clients: Clients) -> None:
    """max.message.bytes changed at run time decides about the next record."""
    topic = clients.topic()
    produce(clients, topic, [b"x" * 5000])
    clients.admin.alter_configs([ConfigResource("TOPIC", topic, {"max.message.bytes": "1000"})])

    def refused() -> bool:
        try:
            produce(clients, topic, [b"x" * 5000])
        except BrokerResponseError as error:
            return bool(error.errno == MESSAGE_TOO_LARGE)
        return False

    eventually(refused, "MESSAGE_TOO_LARGE")


def test_broker_configs(clients: Clients) -> None:
    """The broker describes its own configuration, with the values that it was started with."""
    node = str(clients.admin.describe_cluster()["controller_id"])
    config = clients.admin.describe_configs([ConfigResource("BROKER", node)], config_filter="all")["broker"][node]
    assert (config["num.partitions"]["value"], config["num.partitions"]["config_source"]) == (
        "4",
        "STATIC_BROKER_CONFIG",
    )
    assert config["group.initial.rebalance.delay.ms"]["value"] == "0"


def test_config_resources_are_listed(clients: Clients) -> None:
    topic = clients.topic()
    listed = clients.admin.list_config_resources(["TOPIC"])
    assert topic in listed["topic"]


def test_delete_records(clients: Clients) -> None:
    """Records before an offset go, the log's start moves, and an offset past the end is an error."""
    topic = clients.topic()
    [partition] = partitions_of(topic, 1)
    produce(clients, topic, [b"%d" % number for number in range(10)])
    assert clients.admin.delete_records({partition: 4})[partition]["low_watermark"] == 4
    assert clients.consumer().beginning_offsets([partition]) == {partition: 4}
    with pytest.raises(OffsetOutOfRangeError):
        clients.admin.delete_records({partition: 11})
    assert clients.admin.delete_records({partition: -1})[partition]["low_watermark"] == 10
    assert clients.consumer().end_offsets([partition]) == {partition: 10}


def test_partition_offsets(clients: Clients) -> None:
    """Earliest, latest, by time, and the offset of the largest timestamp."""
    topic = clients.topic()
    [partition] = partitions_of(topic, 1)
    producer = clients.producer()
    for timestamp in (1_700_000_001_000, 1_700_000_003_000, 1_700_000_002_000):
        producer.send(topic, b"x", timestamp_ms=timestamp).get(timeout=20)

    def offset(spec: object) -> tuple[int, int]:
        found = clients.admin.list_partition_offsets({partition: spec})[partition]
        return found.offset, found.timestamp

    assert offset(OffsetSpec.EARLIEST) == (0, -1)
    assert offset(OffsetSpec.LATEST) == (3, -1)
    assert offset(OffsetSpec.MAX_TIMESTAMP) == (1, 1_700_000_003_000)
    assert offset(OffsetTimestamp(1_700_000_001_500)) == (1, 1_700_000_003_000)


def test_groups_are_listed_described_and_deleted(clients: Clients, unique: Callable[[str], str]) -> None:
    """A group with a member is Stable and cannot be deleted; without it is Empty, and then gone with its offsets."""
    topic = clients.topic(partitions=2)
    produce(clients, topic, [b"x"])
    group = unique("group")
    member = clients.consumer(topic, group_id=group, client_id="the-member")
    poll_until(member, 1)
    member.commit()
    listed = {entry["group_id"]: entry for entry in clients.admin.list_groups()}
    assert (listed[group]["group_state"], listed[group]["group_type"], listed[group]["protocol_type"]) == (
        "Stable",
        "classic",
        "consumer",
    )
    assert group not in {entry["group_id"] for entry in clients.admin.list_groups(states_filter=["Empty"])}
    described = clients.admin.describe_groups([group])[group]
    [shown] = described["members"]
    assert (shown["client_id"], shown["client_host"]) == ("the-member", "/127.0.0.1")
    assert shown["member_id"].startswith("the-member-")
    assert shown["member_assignment"]["assigned_partitions"] == [{"topic": topic, "partitions": [0, 1]}]
    with pytest.raises(NonEmptyGroupError):
        raise_on_error(clients.admin.delete_groups([group])[group])
    member.close()
    eventually(lambda: clients.admin.describe_groups([group])[group]["group_state"] == "Empty", "the group is empty")
    assert clients.admin.delete_groups([group]) == {group: "OK"}
    assert clients.admin.describe_groups([group])[group]["group_state"] == "Dead"
    assert clients.consumer(group_id=group).committed(TopicPartition(topic, 0)) is None


def raise_on_error(outcome: object) -> None:
    """delete_groups reports by value."""
    if isinstance(outcome, BrokerResponseError):
        raise outcome
    if outcome != "OK":
        assert "NonEmptyGroup" in str(outcome), outcome
        raise NonEmptyGroupError(str(outcome))


def test_group_offsets(clients: Clients, unique: Callable[[str], str]) -> None:
    """Committed offsets are listed, set, moved to a place in the log and deleted, without a member."""
    topic = clients.topic(partitions=2)
    one, two = partitions_of(topic, 2)
    produce(clients, topic, [b"%d" % number for number in range(10)])
    group = unique("group")
    commit(clients, group, {one: 3, two: 0})

    def listed() -> dict[TopicPartition, int]:
        return {partition: entry.offset for partition, entry in clients.admin.list_group_offsets(group)[group].items()}

    assert listed() == {one: 3, two: 0}
    clients.admin.alter_group_offsets(group, {one: OffsetAndMetadata(7, "moved", -1)})
    assert listed() == {one: 7, two: 0}
    clients.admin.reset_group_offsets(group, {one: OffsetSpec.LATEST})
    assert listed() == {one: 10, two: 0}
    deleted = clients.admin.delete_group_offsets(group, [two])
    assert deleted[two].__name__ == "NoError"
    assert listed() == {one: 10}


def test_offsets_of_a_subscribed_topic_cannot_be_deleted(clients: Clients, unique: Callable[[str], str]) -> None:
    topic = clients.topic()
    [partition] = partitions_of(topic, 1)
    produce(clients, topic, [b"x"])
    group = unique("group")
    member = clients.consumer(topic, group_id=group)
    poll_until(member, 1)
    member.commit()
    assert clients.admin.delete_group_offsets(group, [partition])[partition].__name__ == "GroupSubscribedToTopicError"


def test_members_may_be_removed(clients: Clients, unique: Callable[[str], str]) -> None:
    """The admin makes a static member leave; the group is empty at once."""
    topic = clients.topic()
    group = unique("group")
    member = clients.consumer(topic, group_id=group, group_instance_id="fixed")
    member.partitions_for_topic(topic)
    eventually(lambda: member.poll(timeout_ms=50) is not None and member.assignment(), "the member has joined")
    clients.admin.remove_group_members(group, [MemberToRemove(group_instance_id="fixed")])
    eventually(lambda: clients.admin.describe_groups([group])[group]["members"] == [], "the group is empty")


def test_the_cluster_describes_itself(clients: Clients, broker: Broker) -> None:
    """Cluster id, controller, and the broker's address exactly as it is reached."""
    cluster = clients.admin.describe_cluster()
    assert cluster["cluster_id"]
    [node] = cluster["brokers"]
    assert (node["broker_id"], node["host"], node["port"]) == (cluster["controller_id"], broker.host, broker.port)


def test_log_directories(clients: Clients) -> None:
    """The log directories list each partition with the bytes that it takes."""
    topic = clients.topic(partitions=2)
    produce(clients, topic, [b"x" * 10_000], partition=1)
    [node] = clients.admin.describe_log_dirs(topic_partitions=[topic])
    sizes = {
        p["partition_index"]: p["partition_size"]
        for place in node["log_dirs"]
        for t in place["topics"]
        for p in t["partitions"]
    }
    assert sizes[0] == 0
    assert 10_000 < sizes[1] < 11_000


def test_the_broker_is_taken_for_the_release_it_claims(clients: Clients) -> None:
    """kafka-python infers a release from the API versions: 4.3."""
    node = clients.admin.describe_cluster()["controller_id"]
    assert clients.admin.get_broker_version_data(node).broker_version_str == "4.3"


def test_leaders_need_no_election(clients: Clients) -> None:
    """A preferred election of a partition that is led by its preferred replica says so."""
    topic = clients.topic(partitions=2)
    elected = clients.admin.elect_leaders(0, topic_partitions=[topic], raise_errors=False)
    [result] = elected.replica_election_results
    assert [partition.error_code for partition in result.partition_result] == [84, 84]
    assert clients.admin.list_partition_reassignments() == {}

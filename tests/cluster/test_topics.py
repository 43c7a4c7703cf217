"""Topics: what is created, deleted and grown, and with which errors the rest is refused."""

from uuid import UUID

import pytest

from kpy.cluster.image import ResourceType
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.create_partitions import CreatePartitionsTopic
from kpy.protocol.messages.create_topics import CreatableTopic
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from kpy.protocol.metadata_records import ConfigRecord, PartitionRecord, TopicRecord
from tests.cluster.controller_context import LOG_DIR, NODE, ControllerContext, more_partitions, topic


def test_a_topic_is_a_record_its_configs_and_its_partitions(cluster: ControllerContext) -> None:
    """The records of a creation are the topic's, then its configs', then one for each partition."""
    cluster.create(topic("t", 2, retention_ms="1000"))
    created = cluster.topic("t")
    partition = {
        "topic_id": created.topic_id,
        "replicas": [NODE],
        "isr": [NODE],
        "removing_replicas": [],
        "adding_replicas": [],
        "leader": NODE,
        "leader_epoch": 0,
        "partition_epoch": 0,
        "directories": [LOG_DIR],
    }
    assert list(cluster.last_records) == [
        TopicRecord(name="t", topic_id=created.topic_id),
        ConfigRecord(resource_type=2, resource_name="t", name="retention.ms", value="1000"),
        PartitionRecord(partition_id=0, **partition),
        PartitionRecord(partition_id=1, **partition),
    ]


def test_the_answer_tells_id_numbers_and_configs(cluster: ControllerContext) -> None:
    """The answer has the new topic's id, its real numbers, and all its configs with their sources."""
    result = cluster.create(topic("t", -1, -1, retention_ms="1000"))[0]
    assert (result.error_code, result.error_message) == (ErrorCode.NONE, None)
    assert (result.num_partitions, result.replication_factor) == (1, 1)
    assert result.topic_id == cluster.topic("t").topic_id
    sources = {config.name: (config.value, config.config_source) for config in result.configs or ()}
    assert sources["retention.ms"] == ("1000", 1)
    assert sources["min.insync.replicas"] == ("1", 3)
    assert sources["segment.bytes"] == ("1073741824", 5)
    assert list(sources) == sorted(sources)


def test_validate_only_answers_and_changes_nothing(cluster: ControllerContext) -> None:
    """With validate_only the answer is that of a creation, and there is no topic."""
    result = cluster.create(topic("t", 3), validate_only=True)[0]
    assert (result.error_code, result.num_partitions) == (ErrorCode.NONE, 3)
    assert not cluster.image.topics
    assert not cluster.last_records


REFUSED = {
    "no name": (topic(""), ErrorCode.INVALID_TOPIC_EXCEPTION),
    "a directory's name": (topic(".."), ErrorCode.INVALID_TOPIC_EXCEPTION),
    "a long name": (topic("n" * 250), ErrorCode.INVALID_TOPIC_EXCEPTION),
    "a line's end": (topic("a\n"), ErrorCode.INVALID_TOPIC_EXCEPTION),
    "no partitions": (topic("t", 0), ErrorCode.INVALID_PARTITIONS),
    "less than no partitions": (topic("t", -2), ErrorCode.INVALID_PARTITIONS),
    "no replicas": (topic("t", 1, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
    "more replicas than brokers": (topic("t", 1, 2), ErrorCode.INVALID_REPLICATION_FACTOR),
    "a number and assignments": (topic("t", 1, -1, assignments=[(0, [NODE])]), ErrorCode.INVALID_REQUEST),
    "replicas and assignments": (topic("t", -1, 1, assignments=[(0, [NODE])]), ErrorCode.INVALID_REQUEST),
    "a gap": (topic("t", -1, -1, assignments=[(1, [NODE])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    "a partition twice": (
        topic("t", -1, -1, assignments=[(0, [NODE]), (0, [NODE])]),
        ErrorCode.INVALID_REPLICA_ASSIGNMENT,
    ),
    "an unknown broker": (topic("t", -1, -1, assignments=[(0, [9])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    "a broker twice": (topic("t", -1, -1, assignments=[(0, [1, 1])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    "an empty assignment": (topic("t", -1, -1, assignments=[(0, [])]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    "an unknown config": (topic("t", no_such="1"), ErrorCode.INVALID_CONFIG),
    "a null config": (topic("t", retention_ms=None), ErrorCode.INVALID_CONFIG),
    "a bad config": (topic("t", retention_ms="soon"), ErrorCode.INVALID_CONFIG),
    "configs at odds": (
        topic("t", min_compaction_lag_ms="100", max_compaction_lag_ms="10"),
        ErrorCode.INVALID_CONFIG,
    ),
    "tiered storage": (topic("t", remote_storage_enable="true"), ErrorCode.INVALID_CONFIG),
    "the metadata log": (topic("__cluster_metadata"), ErrorCode.INVALID_REQUEST),
}


@pytest.mark.parametrize(("asked", "code"), REFUSED.values(), ids=REFUSED)
def test_a_topic_that_cannot_be(cluster: ControllerContext, asked: CreatableTopic, code: ErrorCode) -> None:
    """What cannot be created is refused with Kafka's code and some words, and the others are created."""
    results = {result.name: result for result in cluster.create(asked, topic("other"))}
    assert results[asked.name].error_code == code
    assert results[asked.name].error_message
    assert results[asked.name].num_partitions == -1
    assert results["other"].error_code == ErrorCode.NONE
    assert list(cluster.image.topics) == ["other"]


def test_manual_assignments(cluster: ControllerContext) -> None:
    """With assignments the client says how many partitions there are and who has them, in any order."""
    result = cluster.create(topic("t", -1, -1, assignments=[(1, [NODE]), (0, [NODE])]))[0]
    assert (result.error_code, result.num_partitions) == (ErrorCode.NONE, 2)
    assert [partition.replicas for partition in cluster.topic("t").partitions] == [(NODE,), (NODE,)]


def test_a_name_exists_collides_or_is_there_twice(cluster: ControllerContext) -> None:
    """A name that exists, that differs from another in '.' and '_' only, or that is asked for twice is refused."""
    cluster.created("a.b")
    codes = [(result.name, result.error_code) for result in cluster.create(topic("a.b"), topic("a_b"), topic("ab"))]
    assert codes == [("a.b", 36), ("a_b", 17), ("ab", 0)]
    codes = [(result.name, result.error_code) for result in cluster.create(topic("x"), topic("y"), topic("x", 2))]
    assert codes == [("y", 0), ("x", 42)]
    assert "x" not in cluster.image.topics
    cluster.delete("a.b")
    assert cluster.create(topic("a_b"))[0].error_code == ErrorCode.NONE


def test_too_many_partitions_at_once(cluster: ControllerContext) -> None:
    """A request for more than 10 000 partitions is refused as a whole."""
    with pytest.raises(KafkaError) as caught:
        cluster.create(topic("a", 5_000), topic("b", 5_001))
    assert caught.value.code is ErrorCode.POLICY_VIOLATION


def test_delete_by_name_and_by_id(cluster: ControllerContext) -> None:
    """A topic is deleted by its name or its id, with its configs, and both come back."""
    cluster.create(topic("a", retention_ms="1"), topic("b"))
    a, b = cluster.topic("a").topic_id, cluster.topic("b").topic_id
    results = cluster.delete("a", b)
    assert sorted((result.name, result.topic_id, result.error_code) for result in results) == [
        ("a", a, ErrorCode.NONE),
        ("b", b, ErrorCode.NONE),
    ]
    assert not cluster.image.topics
    assert not cluster.image.topics_by_id
    assert not cluster.configs(ResourceType.TOPIC, "a")


def test_a_topic_made_again_is_another(cluster: ControllerContext) -> None:
    """A topic that is deleted and created again has a new id and none of the old configs."""
    cluster.create(topic("t", retention_ms="1"))
    old = cluster.topic("t").topic_id
    cluster.delete("t")
    cluster.created("t")
    assert cluster.topic("t").topic_id != old
    assert cluster.image.topic_by_id(old) is None
    assert not cluster.configs(ResourceType.TOPIC, "t")


def test_deletions_that_are_refused(cluster: ControllerContext) -> None:
    """Unknown places, places named twice in whatever way, and places that are none are refused."""
    cluster.created("t")
    topic_id, unknown = cluster.topic("t").topic_id, UUID(int=5)
    assert [(r.name, r.error_code) for r in cluster.delete("nope")] == [("nope", 3)]
    assert [(r.name, r.error_code) for r in cluster.delete("")] == [("", 3)]
    assert [(r.name, r.error_code) for r in cluster.delete(unknown)] == [(None, 100)]
    assert [(r.name, r.error_code) for r in cluster.delete("t", "t")] == [("t", 42)]
    assert [(r.topic_id, r.error_code) for r in cluster.delete(topic_id, topic_id)] == [(topic_id, 42)]
    assert [(r.name, r.error_code) for r in cluster.delete("t", topic_id)] == [("t", 42)]
    both = DeleteTopicState(name="t", topic_id=topic_id)
    neither = DeleteTopicState(name=None, topic_id=UUID(int=0))
    results = cluster.delete_with(DeleteTopicsRequest(topics=[both, neither], timeout_ms=0))
    assert [(r.name, r.error_code) for r in results] == [("t", 42), (None, 42)]
    assert "t" in cluster.image.topics


def test_deletion_can_be_switched_off() -> None:
    """With delete.topic.enable=false versions before 3 get INVALID_REQUEST, later ones their own code."""
    cluster = ControllerContext({"delete.topic.enable": "false"})
    for version, code in ((2, ErrorCode.INVALID_REQUEST), (3, ErrorCode.TOPIC_DELETION_DISABLED)):
        with pytest.raises(KafkaError) as caught:
            cluster.delete("t", version=version)
        assert caught.value.code is code


def test_more_partitions(cluster: ControllerContext) -> None:
    """A topic grows by as many partitions as are missing, placed here or by the client."""
    cluster.created("t")
    assert cluster.grow(more_partitions("t", 3)) == [("t", 0, None)]
    assert cluster.grow(more_partitions("t", 4, [[NODE]])) == [("t", 0, None)]
    assert [partition.leader for partition in cluster.topic("t").partitions] == [NODE] * 4
    assert cluster.grow(more_partitions("t", 9), validate_only=True) == [("t", 0, None)]
    assert len(cluster.topic("t").partitions) == 4


GROWTH = {
    "an unknown topic": (more_partitions("nope", 2), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    "as many as there are": (more_partitions("t", 1), ErrorCode.INVALID_PARTITIONS),
    "fewer": (more_partitions("t", -1), ErrorCode.INVALID_PARTITIONS),
    "too few assignments": (more_partitions("t", 2, []), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    "too many assignments": (more_partitions("t", 2, [[1], [1]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    "other replicas": (more_partitions("t", 2, [[1, 1]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    "an unknown broker": (more_partitions("t", 2, [[9]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    "an empty assignment": (more_partitions("t", 2, [[]]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    "far too many": (more_partitions("t", 100_000), ErrorCode.POLICY_VIOLATION),
}


@pytest.mark.parametrize(("asked", "code"), GROWTH.values(), ids=GROWTH)
def test_growth_that_is_refused(cluster: ControllerContext, asked: CreatePartitionsTopic, code: ErrorCode) -> None:
    """What cannot grow is refused with Kafka's code and some words, and the topic stays."""
    cluster.created("t")
    ((_, got, message),) = cluster.grow(asked)
    assert (got, bool(message)) == (code, True)
    assert len(cluster.topic("t").partitions) == 1


def test_growth_of_one_topic_twice(cluster: ControllerContext) -> None:
    """A topic that is named twice in one request is refused once and does not grow."""
    cluster.created("t", "u")
    results = cluster.grow(more_partitions("t", 2), more_partitions("u", 2), more_partitions("t", 3))
    assert [(name, code) for name, code, _ in results] == [("t", 42), ("u", 0)]
    assert len(cluster.topic("t").partitions) == 1

"""The controller as a state machine: what survives a restart, what a start writes, what followers are told."""

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.cluster.config_changes import Operation
from kpy.cluster.features import AT_FORMAT
from kpy.cluster.image import Changes, Endpoint, ResourceType
from kpy.protocol.metadata_records import (
    NoOpRecord,
    PartitionChangeRecord,
    RegisterBrokerRecord,
    encode_record,
)
from kpy.state_machine import NOTHING
from tests.cluster.controller_context import LOG_DIR, NODE, ControllerContext, changes, more_partitions, topic
from tests.sweeps import examples

TOPIC, BROKER = ResourceType.TOPIC, ResourceType.BROKER


def test_an_empty_log_is_formatted_once(cluster: ControllerContext) -> None:
    """A new cluster gets Kafka's features and a min.insync.replicas of its own; an old one stays as it is."""
    assert cluster.image.features == AT_FORMAT
    assert cluster.configs(BROKER, "") == {"min.insync.replicas": "1"}
    cluster.load()
    assert cluster.controller.loaded(now_ms=0) is NOTHING


def test_a_registration(cluster: ControllerContext) -> None:
    """A broker that registers is in the image, unfenced, with where it is reached."""
    (record,) = cluster.last_records
    assert isinstance(record, RegisterBrokerRecord)
    assert record.log_dirs == [LOG_DIR]
    broker = cluster.image.brokers[NODE]
    assert broker.endpoints == {"PLAINTEXT": Endpoint("PLAINTEXT", "localhost", 9092)}
    assert not broker.fenced


def test_every_start_leads_in_a_new_epoch(cluster: ControllerContext) -> None:
    """Broker and leader epochs rise with every start; ids, replicas and leaders stay."""
    cluster.create(topic("t", 2))
    before, broker = cluster.topic("t"), cluster.image.brokers[NODE]
    cluster.restart()
    after = cluster.topic("t")
    assert after.topic_id == before.topic_id
    assert [partition.leader_epoch for partition in after.partitions] == [1, 1]
    assert [partition.leader for partition in after.partitions] == [NODE, NODE]
    assert cluster.image.brokers[NODE].epoch > broker.epoch
    assert cluster.image.brokers[NODE].incarnation_id != broker.incarnation_id
    cluster.created("new")
    assert cluster.partition("new").leader_epoch == 0


def test_producer_ids_are_never_given_twice(cluster: ControllerContext) -> None:
    """Blocks of 1000 follow each other, across restarts too."""
    ends = [cluster.allocate().next_producer_id for _ in range(2)]
    cluster.restart()
    ends.append(cluster.allocate().next_producer_id)
    assert ends == [1000, 2000, 3000]


def test_an_image_does_not_change(cluster: ControllerContext) -> None:
    """An image that somebody keeps shows what it showed, and shares what is still true with the next."""
    cluster.create(topic("a"), topic("b", retention_ms="5"))
    kept = cluster.image
    cluster.delete("a")
    cluster.grow(more_partitions("b", 2))
    cluster.alter(changes(TOPIC, "b", ("retention.ms", Operation.DELETE, None)))
    assert list(kept.topics) == ["a", "b"]
    assert len(kept.topics["b"].partitions) == 1
    assert kept.config(TOPIC, "b") == {"retention.ms": "5"}
    assert cluster.image.offset > kept.offset
    assert cluster.image is cluster.image


def test_what_an_image_answers(cluster: ControllerContext) -> None:
    """Topics are found by name and id, partitions by number, and what is not there is None."""
    cluster.create(topic("t", 2))
    image, found = cluster.image, cluster.topic("t")
    assert image.topic_by_id(found.topic_id) is found
    assert image.topic("nope") is None
    assert image.topic_by_id(UUID(int=4)) is None
    assert image.partition("t", 1) is found.partitions[1]
    assert image.partition("t", 2) is None
    assert image.partition("t", -1) is None
    assert image.partition("nope", 0) is None
    assert image.config(TOPIC, "nope") == {}


def test_changes(cluster: ControllerContext) -> None:
    """Followers are told once what was created, deleted, grown and configured."""
    cluster.controller.take_changes()
    cluster.created("a", "b")
    created = cluster.controller.take_changes()
    assert [made.name for made in created.created] == ["a", "b"]
    assert not created.grown
    old = cluster.topic("a")
    cluster.delete("a")
    cluster.created("a")
    cluster.grow(more_partitions("b", 2))
    cluster.alter(changes(TOPIC, "b", ("retention.ms", Operation.SET, "5")))
    told = cluster.controller.take_changes()
    assert told.deleted == (old,)
    assert told.created == (cluster.topic("a"),)
    assert told.grown == (cluster.topic("b"),)
    assert told.configs == {(TOPIC, "b")}
    assert not cluster.controller.take_changes()


def test_a_topic_that_came_and_went_is_deleted(cluster: ControllerContext) -> None:
    """A topic that was created and deleted between two looks is only in the list of those that are gone."""
    cluster.controller.take_changes()
    cluster.created("a")
    cluster.grow(more_partitions("a", 2))
    gone = cluster.topic("a")
    cluster.delete("a")
    assert cluster.controller.take_changes() == Changes(deleted=(gone,))


def test_after_loading_every_topic_counts_as_created(cluster: ControllerContext) -> None:
    """Who follows a controller that was just loaded is told of all there is."""
    cluster.created("a", "b")
    cluster.delete("a")
    cluster.load()
    changes = cluster.controller.take_changes()
    assert [made.name for made in changes.created] == ["b"]
    assert [gone.name for gone in changes.deleted] == ["a"]


def test_a_partition_changes(cluster: ControllerContext) -> None:
    """A change record replaces what it names; a leader, even the same, begins a new epoch."""
    cluster.created("t")
    topic_id = cluster.topic("t").topic_id
    for record in (
        PartitionChangeRecord(partition_id=0, topic_id=topic_id, isr=[]),
        PartitionChangeRecord(partition_id=0, topic_id=topic_id, leader=NODE, replicas=[NODE, 2]),
    ):
        replayed = cluster.controller.decode(None, encode_record(record))
        assert replayed is not None
        cluster.controller.replay(replayed)
    partition = cluster.partition("t")
    assert (partition.isr, partition.replicas) == ((), (NODE, 2))
    assert (partition.leader_epoch, partition.partition_epoch) == (1, 2)


def test_records_of_other_kinds_are_passed_over(cluster: ControllerContext) -> None:
    """A record that says nothing changes nothing, and one of an unknown type is not decoded."""
    before = cluster.image
    record = cluster.controller.decode(None, encode_record(NoOpRecord()))
    assert record is not None
    cluster.controller.replay(record)
    assert cluster.image.topics == before.topics
    assert cluster.controller.decode(None, b"\x01\x63\x00") is None


NAMES = st.sampled_from(["a", "b", "a.b", "a_b"])
STEPS = st.one_of(
    st.tuples(st.just("create"), NAMES, st.integers(1, 3)),
    st.tuples(st.just("delete"), NAMES, st.just(0)),
    st.tuples(st.just("grow"), NAMES, st.integers(1, 5)),
    st.tuples(st.just("set"), NAMES, st.integers(1, 9)),
    st.tuples(st.just("restart"), st.just(""), st.just(0)),
)


@settings(max_examples=examples(50))
@given(st.lists(STEPS, max_size=12))
def test_loading_gives_what_there_was(steps: list[tuple[str, str, int]]) -> None:
    """Whatever is done, a controller that replays the log has the image of the one that wrote it."""
    cluster = ControllerContext()
    for step, name, number in steps:
        match step:
            case "create":
                cluster.create(topic(name, number))
            case "delete":
                cluster.delete(name)
            case "grow":
                cluster.grow(more_partitions(name, number))
            case "set":
                cluster.alter(changes(TOPIC, name, ("retention.ms", Operation.SET, str(number))))
            case _:
                cluster.restart()
    written = cluster.image
    assert written.topics_by_id == {found.topic_id: found for found in written.topics.values()}
    cluster.load()
    assert cluster.image == written

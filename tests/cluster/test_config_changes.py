"""Dynamic configs: single changes, replacements, and what is refused."""

import pytest

from kpy.cluster.config_changes import Operation
from kpy.cluster.image import ResourceType
from kpy.protocol.errors import ErrorCode
from kpy.protocol.metadata_records import ConfigRecord
from tests.cluster.controller_context import NODE, ControllerContext, changes, topic

TOPIC, BROKER, LOGGER = ResourceType.TOPIC, ResourceType.BROKER, ResourceType.BROKER_LOGGER
METRICS, GROUP = ResourceType.CLIENT_METRICS, ResourceType.GROUP
SET, DELETE, APPEND, SUBTRACT = Operation.SET, Operation.DELETE, Operation.APPEND, Operation.SUBTRACT


def test_set_and_delete(cluster: ControllerContext) -> None:
    """A config that is set is in the image; deleted, it is gone, and so is the resource without any."""
    cluster.created("t")
    assert cluster.alter(changes(TOPIC, "t", ("retention.ms", SET, "5"))) == [(0, None)]
    assert cluster.configs(TOPIC, "t") == {"retention.ms": "5"}
    assert cluster.alter(changes(TOPIC, "t", ("retention.ms", DELETE, "ignored"))) == [(0, None)]
    assert (TOPIC, "t") not in cluster.image.configs


def test_a_value_that_stays_is_no_record(cluster: ControllerContext) -> None:
    """Setting a topic's config to the value that it has, or deleting what is not set, appends nothing."""
    cluster.create(topic("t", retention_ms="5"))
    cluster.alter(changes(TOPIC, "t", ("retention.ms", SET, "5"), ("segment.ms", DELETE, None)))
    assert not cluster.last_records


def test_a_brokers_value_that_stays_is_a_record(cluster: ControllerContext) -> None:
    """For brokers it is appended all the same, so that files are read again (KAFKA-14136)."""
    change = changes(BROKER, "", ("log.retention.ms", SET, "5"))
    cluster.alter(change)
    cluster.alter(change)
    record = ConfigRecord(resource_type=4, resource_name="", name="log.retention.ms", value="5")
    assert list(cluster.last_records) == [record]


def test_items_of_lists(cluster: ControllerContext) -> None:
    """Items are appended to the default where nothing is set, once, and taken away where they are."""
    cluster.created("t")

    def after(operation: Operation, value: str) -> str | None:
        assert cluster.alter(changes(TOPIC, "t", ("cleanup.policy", operation, value))) == [(0, None)]
        return cluster.configs(TOPIC, "t").get("cleanup.policy")

    assert after(APPEND, "compact") == "delete,compact"
    assert after(APPEND, "delete,compact") == "delete,compact"
    assert after(SUBTRACT, "delete,delete") == "compact"
    assert after(SUBTRACT, "compact") == ""
    assert after(APPEND, "delete") == "delete"


def test_a_group_that_need_not_exist(cluster: ControllerContext) -> None:
    """Configs of groups are kept by their ids."""
    assert cluster.alter(changes(GROUP, "g", ("consumer.session.timeout.ms", SET, "46000"))) == [(0, None)]
    assert cluster.configs(GROUP, "g") == {"consumer.session.timeout.ms": "46000"}


REFUSED = {
    "an unknown key": (TOPIC, "t", ("no.such", SET, "1"), ErrorCode.INVALID_CONFIG),
    "no key": (TOPIC, "t", ("", SET, "1"), ErrorCode.INVALID_CONFIG),
    "a bad value": (TOPIC, "t", ("retention.ms", SET, "abc"), ErrorCode.INVALID_CONFIG),
    "an empty value": (TOPIC, "t", ("retention.ms", SET, ""), ErrorCode.INVALID_CONFIG),
    "out of range": (TOPIC, "t", ("min.cleanable.dirty.ratio", SET, "7"), ErrorCode.INVALID_CONFIG),
    "an item that cannot be": (TOPIC, "t", ("cleanup.policy", APPEND, "shred"), ErrorCode.INVALID_CONFIG),
    "an item of a number": (TOPIC, "t", ("retention.ms", APPEND, "1"), ErrorCode.INVALID_CONFIG),
    "an item of nothing": (TOPIC, "t", ("no.such", SUBTRACT, "1"), ErrorCode.INVALID_CONFIG),
    "a long value": (
        TOPIC,
        "t",
        ("leader.replication.throttled.replicas", SET, ",".join(["1:1"] * 9000)),
        ErrorCode.INVALID_CONFIG,
    ),
    "null to set": (TOPIC, "t", ("retention.ms", SET, None), ErrorCode.INVALID_REQUEST),
    "null to append": (TOPIC, "t", ("cleanup.policy", APPEND, None), ErrorCode.INVALID_REQUEST),
    "an unknown operation": (TOPIC, "t", ("retention.ms", 9, "1"), ErrorCode.INVALID_REQUEST),
    "an unknown topic": (TOPIC, "nope", ("retention.ms", SET, "1"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    "a bad topic": (TOPIC, "a/b", ("retention.ms", SET, "1"), ErrorCode.INVALID_TOPIC_EXCEPTION),
    "all topics": (TOPIC, "", ("retention.ms", SET, "1"), ErrorCode.INVALID_REQUEST),
    "an unknown type": (7, "t", ("retention.ms", SET, "1"), ErrorCode.INVALID_REQUEST),
    "a read-only config": (BROKER, "", ("broker.rack", SET, "a"), ErrorCode.INVALID_REQUEST),
    "a bad value of all brokers": (BROKER, "", ("log.retention.ms", SET, "abc"), ErrorCode.INVALID_REQUEST),
    "one broker's for all": (BROKER, "", ("listeners", SET, "PLAINTEXT://:1"), ErrorCode.INVALID_REQUEST),
    "another broker": (BROKER, "9", ("log.retention.ms", SET, "1"), ErrorCode.INVALID_REQUEST),
    "a broker that is no number": (BROKER, "x", ("log.retention.ms", SET, "1"), ErrorCode.INVALID_REQUEST),
    "one broker's min ISR": (BROKER, str(NODE), ("min.insync.replicas", SET, "1"), ErrorCode.INVALID_CONFIG),
    "a subscription without a name": (METRICS, "", ("metrics", SET, "*"), ErrorCode.INVALID_REQUEST),
    "an unknown key of a subscription": (METRICS, "m", ("no.such", SET, "1"), ErrorCode.INVALID_REQUEST),
    "an interval out of bounds": (METRICS, "m", ("interval.ms", SET, "1"), ErrorCode.INVALID_REQUEST),
    "a match of nothing": (METRICS, "m", ("match", SET, "color=red"), ErrorCode.INVALID_CONFIG),
    "groups without a name": (GROUP, "", ("consumer.session.timeout.ms", SET, "46000"), ErrorCode.INVALID_REQUEST),
    "a group's option out of bounds": (GROUP, "g", ("consumer.session.timeout.ms", SET, "5"), ErrorCode.INVALID_CONFIG),
    "a group's option of no number": (GROUP, "g", ("consumer.session.timeout.ms", SET, "x"), ErrorCode.INVALID_CONFIG),
    "an unknown option of a group": (GROUP, "g", ("no.such", SET, "1"), ErrorCode.INVALID_CONFIG),
    "no min ISR": (BROKER, "", ("min.insync.replicas", DELETE, None), ErrorCode.INVALID_CONFIG),
}


@pytest.mark.parametrize(("kind", "name", "change", "code"), REFUSED.values(), ids=REFUSED)
def test_changes_that_are_refused(
    cluster: ControllerContext, kind: int, name: str, change: tuple[str, int, str | None], code: ErrorCode
) -> None:
    """What may not be is refused with Kafka's code and some words, and nothing changes."""
    cluster.created("t")
    before = cluster.image.configs
    ((got, message),) = cluster.alter(changes(kind, name, change))
    assert (got, bool(message)) == (code, True)
    assert cluster.image.configs == before


def test_a_resource_changes_as_a_whole(cluster: ControllerContext) -> None:
    """One bad change keeps the other changes of its resource back, but not those of another resource."""
    cluster.created("a", "b")
    bad = changes(TOPIC, "a", ("retention.ms", SET, "5"), ("segment.ms", SET, "soon"))
    good = changes(TOPIC, "b", ("retention.ms", SET, "5"))
    assert [code for code, _ in cluster.alter(bad, good)] == [ErrorCode.INVALID_CONFIG, ErrorCode.NONE]
    assert not cluster.configs(TOPIC, "a")
    assert cluster.configs(TOPIC, "b") == {"retention.ms": "5"}


def test_a_resource_or_a_key_twice(cluster: ControllerContext) -> None:
    """A resource that is named twice is refused both times, a key that is named twice with its resource."""
    cluster.created("t")
    one = changes(TOPIC, "t", ("retention.ms", SET, "5"))
    assert [code for code, _ in cluster.alter(one, one)] == [42, 42]
    twice = changes(TOPIC, "t", ("retention.ms", SET, "5"), ("retention.ms", SET, "6"))
    assert [code for code, _ in cluster.alter(twice)] == [42]
    assert not cluster.configs(TOPIC, "t")


def test_validate_only(cluster: ControllerContext) -> None:
    """With validate_only the answer is that of a change, and nothing changes."""
    cluster.created("t")
    good, bad = (changes(TOPIC, "t", ("retention.ms", SET, value)) for value in ("5", "soon"))
    assert cluster.alter(good, validate_only=True) == [(0, None)]
    assert [code for code, _ in cluster.alter(bad, validate_only=True)] == [ErrorCode.INVALID_CONFIG]
    assert not cluster.configs(TOPIC, "t")


def test_replacing_forgets_the_rest(cluster: ControllerContext) -> None:
    """AlterConfigs leaves a resource with just the configs of the request."""
    cluster.create(topic("t", retention_ms="5", segment_ms="7"))
    assert cluster.replace(TOPIC, "t", segment_ms="7", flush_ms="9") == (0, None)
    assert cluster.configs(TOPIC, "t") == {"segment.ms": "7", "flush.ms": "9"}
    assert {record.name: record.value for record in cluster.last_records if isinstance(record, ConfigRecord)} == {
        "retention.ms": None,
        "flush.ms": "9",
    }


def test_replacements_that_are_refused(cluster: ControllerContext) -> None:
    """AlterConfigs refuses nulls and what is not a resource, loggers among them."""
    cluster.created("t")
    assert cluster.replace(TOPIC, "t", retention_ms=None)[0] == ErrorCode.INVALID_REQUEST
    assert cluster.replace(LOGGER, str(NODE), root="INFO")[0] == ErrorCode.INVALID_REQUEST
    assert cluster.replace(0, "t", retention_ms="5")[0] == ErrorCode.INVALID_REQUEST
    assert cluster.replace(BROKER, "", log_retention_ms="5")[0] == ErrorCode.INVALID_CONFIG


def test_brokers_configs_lie_under_topics(cluster: ControllerContext) -> None:
    """What is set for all brokers, and over it for this broker, is what new topics get."""
    assert cluster.alter(changes(BROKER, "", ("log.retention.ms", SET, "5"), ("plug.in", SET, "x")))[0][0] == 0
    assert cluster.alter(changes(BROKER, str(NODE), ("log.segment.bytes", SET, "2000000")))[0][0] == 0
    configs = {
        config.name: (config.value, config.config_source) for config in cluster.create(topic("t"))[0].configs or ()
    }
    assert configs["retention.ms"] == ("5", 3)
    assert configs["segment.bytes"] == ("2000000", 2)


def test_cleaner_threads_change_by_a_factor_of_two(cluster: ControllerContext) -> None:
    """As Kafka's log cleaner has it: at most to twice as many, at least to half."""

    def change(threads: int) -> ErrorCode:
        ((code, _),) = cluster.alter(changes(BROKER, "", ("log.cleaner.threads", SET, f"{threads}")))
        return ErrorCode(code)

    assert change(3) is ErrorCode.INVALID_REQUEST
    assert [change(2), change(4)] == [ErrorCode.NONE, ErrorCode.NONE]
    assert change(1) is ErrorCode.INVALID_REQUEST
    assert change(2) is ErrorCode.NONE

"""What DescribeConfigs says, against answers of Apache Kafka 4.3.1."""

from kpy.config import BrokerConfig
from kpy.config.describe import (
    ConfigEntry,
    ConfigSource,
    broker_entries,
    dynamic_default_entries,
    topic_entries,
)


def entry(entries: list[ConfigEntry], name: str) -> ConfigEntry:
    return next(entry for entry in entries if entry.name == name)


def synonyms(entry: ConfigEntry) -> list[tuple[str, str | None, int]]:
    return [(synonym.name, synonym.value, synonym.source) for synonym in entry.synonyms]


def test_a_default() -> None:
    """A default has the broker's option behind it."""
    found = entry(topic_entries({}, BrokerConfig()), "cleanup.policy")

    assert (found.value, found.source, found.type) == ("delete", ConfigSource.DEFAULT_CONFIG, 7)
    assert synonyms(found) == [("log.cleanup.policy", "delete", 5)]
    assert (found.read_only, found.is_sensitive) == (False, False)


def test_a_topics_own_setting() -> None:
    """The topic's setting comes first, and is printed as it was understood."""
    found = entry(topic_entries({"cleanup.policy": "compact , delete"}, BrokerConfig()), "cleanup.policy")

    assert (found.value, found.source) == ("compact,delete", ConfigSource.TOPIC_CONFIG)
    assert synonyms(found) == [("cleanup.policy", "compact,delete", 1), ("log.cleanup.policy", "delete", 5)]


def test_a_default_in_hours_is_not_behind_milliseconds() -> None:
    """Kafka drops what stands before the option's own name, so retention.ms has nothing behind it by default."""
    found = entry(topic_entries({}, BrokerConfig()), "retention.ms")

    assert (found.value, found.source, synonyms(found)) == ("604800000", ConfigSource.DEFAULT_CONFIG, [])


def test_all_sources_in_order() -> None:
    """Topic, this broker, all brokers, file, default."""
    broker = BrokerConfig({"message.max.bytes": "3"}).with_dynamic(
        {"message.max.bytes": "4"}, {"message.max.bytes": "5"}
    )

    found = entry(topic_entries({"max.message.bytes": "6"}, broker), "max.message.bytes")

    assert synonyms(found) == [
        ("max.message.bytes", "6", 1),
        ("message.max.bytes", "5", 2),
        ("message.max.bytes", "4", 3),
        ("message.max.bytes", "3", 4),
        ("message.max.bytes", "1048588", 5),
    ]


def test_an_internal_option_is_listed_when_it_is_set() -> None:
    """internal.segment.bytes is for tests."""
    names = [found.name for found in topic_entries({}, BrokerConfig())]

    assert "internal.segment.bytes" not in names
    assert len(names) == 33
    assert (
        entry(topic_entries({"internal.segment.bytes": "100"}, BrokerConfig()), "internal.segment.bytes").value == "100"
    )


def test_broker() -> None:
    """A broker's options say whether they can be changed while it runs."""
    entries = broker_entries(BrokerConfig({"num.partitions": "4"}))

    partitions = entry(entries, "num.partitions")
    assert (partitions.value, partitions.source, partitions.read_only) == ("4", ConfigSource.STATIC_BROKER_CONFIG, True)
    assert synonyms(partitions) == [("num.partitions", "4", 4), ("num.partitions", "1", 5)]
    retention = entry(entries, "log.retention.ms")
    assert (retention.value, retention.source, retention.read_only) == (None, ConfigSource.DEFAULT_CONFIG, False)
    assert synonyms(retention) == []


def test_dynamic_defaults_hide_what_nobody_knows() -> None:
    """The value of a name that is not in the table could be a secret."""
    config = BrokerConfig().with_dynamic({"log.retention.ms": "100", "some.password": "x"}, {})

    known, unknown = dynamic_default_entries(config)

    assert (known.name, known.value, known.source) == (
        "log.retention.ms",
        "100",
        ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG,
    )
    assert (unknown.name, unknown.value, unknown.is_sensitive, unknown.type) == ("some.password", None, True, 0)

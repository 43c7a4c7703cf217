"""A topic's options: its own, the broker's defaults, and what Kafka refuses."""

import pytest

from kpy.config import BrokerConfig, ConfigError, TopicConfig
from kpy.config.topic import broker_defaults


def test_defaults_are_the_brokers() -> None:
    """Without settings anywhere, both tables say the same."""
    defaults = broker_defaults(BrokerConfig())

    for name, value in defaults.items():
        assert value == TopicConfig.options[name].default, name


def test_synonyms_exist() -> None:
    """Every broker option that a topic option names is in the broker's table."""
    for option in TopicConfig.options.values():
        for synonym in option.synonyms:
            assert synonym.name in BrokerConfig.options, option.name


@pytest.mark.parametrize(
    ("broker", "retention_ms"),
    [
        ({}, 604800000),
        ({"log.retention.hours": "1"}, 3600000),
        ({"log.retention.hours": "1", "log.retention.minutes": "1"}, 60000),
        ({"log.retention.hours": "1", "log.retention.minutes": "1", "log.retention.ms": "7"}, 7),
        ({"log.retention.ms": "-1"}, -1),
    ],
)
def test_the_finest_unit_counts(broker: dict[str, str], retention_ms: int) -> None:
    """Of a broker's options in different units, the one in milliseconds comes first."""
    assert TopicConfig({}, BrokerConfig(broker)).retention_ms == retention_ms


def test_a_topics_own_setting_counts_first() -> None:
    """The broker's option is a default."""
    topic = TopicConfig({"segment.bytes": "1048576"}, BrokerConfig({"log.segment.bytes": "2097152"}))

    assert topic.segment_bytes == 1048576


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"no.such": "1"}, "Unknown topic config name: no.such"),
        ({"retention.ms": "abc"}, "Invalid value abc for configuration retention.ms: Not a number of type LONG"),
        (
            {"min.compaction.lag.ms": "2", "max.compaction.lag.ms": "1"},
            "conflict topic config setting min.compaction.lag.ms (2) > max.compaction.lag.ms (1)",
        ),
    ],
)
def test_refusals(settings: dict[str, str], message: str) -> None:
    """What Kafka refuses is refused in its words."""
    with pytest.raises(ConfigError) as error:
        TopicConfig(settings, BrokerConfig())

    assert str(error.value) == message


def test_no_tiered_storage() -> None:
    """A topic cannot ask for a tier that is not there."""
    with pytest.raises(ConfigError, match="Tiered storage is disabled in the broker"):
        TopicConfig({"remote.storage.enable": "true"}, BrokerConfig())

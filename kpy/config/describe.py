"""What DescribeConfigs says of an option: its value as Kafka prints it, where it comes from, and what stands behind.

The order of sources and the odd corners are those of Kafka's ConfigHelper: an option is listed with every setting and
default that would hold if the one before were not there, but nothing before its own name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from kpy.config.broker import BrokerConfig
from kpy.config.options import ConfigType, Option, UpdateMode
from kpy.config.topic import TopicConfig


class ConfigSource(IntEnum):
    """Where a value comes from (DescribeConfigsResponse.ConfigSource)."""

    UNKNOWN = 0
    TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5
    DYNAMIC_BROKER_LOGGER_CONFIG = 6
    CLIENT_METRICS_CONFIG = 7
    GROUP_CONFIG = 8


class SynonymEntry(NamedTuple):
    """One value that stands behind an option, and where it is from."""

    name: str
    value: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEntry:
    """One option as DescribeConfigs lists it."""

    name: str
    value: str | None
    source: ConfigSource
    type: ConfigType
    synonyms: tuple[SynonymEntry, ...]
    documentation: str
    read_only: bool
    is_sensitive: bool


def topic_entries(settings: Mapping[str, str], broker: BrokerConfig) -> list[ConfigEntry]:
    """All options of a topic that has these settings of its own."""
    config = TopicConfig(settings, broker)
    entries = []
    for name, option in TopicConfig.options.items():
        if option.internal and name not in settings:
            continue
        value = option.format(config.get(name))
        synonyms = broker_setting(option.synonyms[0].name, broker) if option.synonyms else ()
        if name in settings:
            synonyms = (SynonymEntry(name, value, ConfigSource.TOPIC_CONFIG), *synonyms)
        entries.append(_entry(option, value, synonyms, read_only=False))
    return entries


def broker_entries(broker: BrokerConfig) -> list[ConfigEntry]:
    """All options of one broker."""
    return [
        _entry(
            option,
            option.format(broker.get(name)),
            broker_setting(name, broker),
            read_only=option.update_mode is UpdateMode.READ_ONLY,
        )
        for name, option in BrokerConfig.options.items()
        if not option.internal
    ]


def dynamic_default_entries(broker: BrokerConfig) -> list[ConfigEntry]:
    """The dynamic settings that hold for every broker. Of a name that is nobody's, the value may be a secret."""
    entries = []
    for name, text in broker.dynamic_defaults.items():
        option = BrokerConfig.options.get(name) or _unknown(name)
        value = None if option.is_sensitive else text
        synonyms = (SynonymEntry(name, value, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),)
        read_only = option.update_mode is UpdateMode.READ_ONLY
        entries.append(_entry(option, value, synonyms, read_only=read_only))
    return entries


def _unknown(name: str) -> Option:
    return Option(name=name, type=ConfigType.UNKNOWN, default=None, check=None, documentation="")


def _entry(option: Option, value: str | None, synonyms: tuple[SynonymEntry, ...], *, read_only: bool) -> ConfigEntry:
    return ConfigEntry(
        name=option.name,
        value=None if option.is_sensitive else value,
        source=synonyms[0].source if synonyms else ConfigSource.DEFAULT_CONFIG,
        type=option.type,
        synonyms=synonyms,
        documentation=option.documentation,
        read_only=read_only,
        is_sensitive=option.is_sensitive,
    )


SYNONYMS_OF_BROKER_OPTIONS = [
    ("log.roll.ms", "log.roll.hours"),
    ("log.roll.jitter.ms", "log.roll.jitter.hours"),
    ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
]
FLUSH_INTERVAL_SYNONYMS = ("log.flush.interval.ms", "log.flush.scheduler.interval.ms")


def broker_synonyms(name: str) -> tuple[str, ...]:
    """The names that set the same thing, the finest unit first (DynamicBrokerConfig.brokerConfigSynonyms)."""
    if name == FLUSH_INTERVAL_SYNONYMS[0]:
        return FLUSH_INTERVAL_SYNONYMS
    return next((names for names in SYNONYMS_OF_BROKER_OPTIONS if name in names), (name,))


def broker_setting(name: str, broker: BrokerConfig) -> tuple[SynonymEntry, ...]:
    """The values of a broker option from the one in force down to its default."""
    found = list(_settings(broker_synonyms(name), broker))
    own = next((index for index, entry in enumerate(found) if entry.name == name), len(found))
    return tuple(found[own:])


def _settings(names: Sequence[str], broker: BrokerConfig) -> Iterator[SynonymEntry]:
    options = [BrokerConfig.options[name] for name in names]
    defaults = {option.name: option.format(option.default) for option in options}
    for values, source in (
        (broker.dynamic, ConfigSource.DYNAMIC_BROKER_CONFIG),
        (broker.dynamic_defaults, ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG),
        (broker.settings, ConfigSource.STATIC_BROKER_CONFIG),
        (defaults, ConfigSource.DEFAULT_CONFIG),
    ):
        for option in options:
            value = values.get(option.name)
            if value is not None:
                yield SynonymEntry(option.name, None if option.is_sensitive else value, source)

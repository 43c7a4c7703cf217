"""The options of a group, of those that Kafka 4.3 has the ones of consumer groups (GroupConfig).

They are set on resources of the type GROUP, for groups that need not exist. A group that sets nothing has the broker's
values. What is set must lie within the broker's bounds; where the bounds were moved later, the nearest bound counts.
"""

from collections.abc import Mapping

from kpy.config.broker import BrokerConfig
from kpy.config.describe import ConfigEntry, ConfigSource, SynonymEntry, broker_setting
from kpy.config.options import ConfigError, Option, Options, Synonym, at_least, integer


class GroupOptions(Options):
    """The values of one group's options, its own and the broker's defaults."""

    consumer_session_timeout_ms: int = integer(
        45000,
        at_least(1),
        "the session timeout of members of the consumer protocol",
        synonyms=(Synonym(name="group.consumer.session.timeout.ms"),),
    )
    consumer_heartbeat_interval_ms: int = integer(
        5000,
        at_least(1),
        "how often members of the consumer protocol are told to send heartbeats",
        synonyms=(Synonym(name="group.consumer.heartbeat.interval.ms"),),
    )
    consumer_assignment_interval_ms: int = integer(
        1000,
        at_least(0),
        "how long a group of the consumer protocol keeps an assignment before it makes another",
        synonyms=(Synonym(name="group.consumer.assignment.interval.ms"),),
    )

    def __init__(self, settings: Mapping[str, str], broker: BrokerConfig) -> None:
        """Raises ConfigError; the names must be in the table."""
        own = self.parse_values(settings)
        values = {name: own.get(name, broker.get(option.synonyms[0].name)) for name, option in self.options.items()}
        super().__init__(values)

    def within_bounds(self, broker: BrokerConfig) -> "GroupOptions":
        """The values that count, each moved to the nearest bound if the broker does not allow it."""
        values = {}
        for name, option in self.options.items():
            low, high = _bounds(option, broker)
            values[name] = str(min(max(self._number(name), low), high))
        return GroupOptions(values, broker)

    def check(self, settings: Mapping[str, str], broker: BrokerConfig) -> None:
        """Raise ConfigError for what the group sets itself and the broker does not allow, alone or together.

        The broker's own intervals between assignments are not looked at, as they may change while it runs.
        """
        for name, option in self.options.items():
            low, high = _bounds(option, broker)
            value = self._number(name)
            if name not in settings and option.name == "consumer.assignment.interval.ms":
                continue
            if value < low:
                raise ConfigError(name, str(value), f"{name} must be greater than or equal to {bound(option, 'min')}")
            if value > high:
                raise ConfigError(name, str(value), f"{name} must be less than or equal to {bound(option, 'max')}")
        if self.consumer_session_timeout_ms <= self.consumer_heartbeat_interval_ms:
            name = "consumer.session.timeout.ms"
            value = self._number(name)
            raise ConfigError(name, str(value), f"{name} must be greater than consumer.heartbeat.interval.ms")

    def _number(self, name: str) -> int:
        value = self.get(name)
        assert isinstance(value, int)
        return value


def group_entries(settings: Mapping[str, str], broker: BrokerConfig) -> list[ConfigEntry]:
    """All options of a group that has these settings, for DescribeConfigs."""
    values = GroupOptions(settings, broker)
    entries = []
    for name, option in GroupOptions.options.items():
        value = option.format(values.get(name))
        synonyms = broker_setting(option.synonyms[0].name, broker)
        if name in settings:
            synonyms = (SynonymEntry(name, value, ConfigSource.GROUP_CONFIG), *synonyms)
        entries.append(
            ConfigEntry(
                name=name,
                value=value,
                source=synonyms[0].source,
                type=option.type,
                synonyms=synonyms,
                documentation=option.documentation,
                read_only=False,
                is_sensitive=False,
            )
        )
    return entries


def bound(option: Option, end: str) -> str:
    """The name of the broker option that bounds this one."""
    kind, _, rest = option.name.partition(".")
    return f"group.{kind}.{end}.{rest}"


def _bounds(option: Option, broker: BrokerConfig) -> tuple[int, int]:
    low, high = broker.get(bound(option, "min")), broker.get(bound(option, "max"))
    assert isinstance(low, int)
    assert isinstance(high, int)
    return low, high

"""The options of groups: the broker's values, those of a group of its own, and the bounds of both."""

import pytest

from kpy.config import BrokerConfig, ConfigError
from kpy.config.group import GroupOptions, group_entries

BROKER = BrokerConfig({"group.consumer.session.timeout.ms": "50000"})


def test_a_group_that_sets_nothing_has_the_brokers_values() -> None:
    """And one that does has its own."""
    own = GroupOptions({"consumer.heartbeat.interval.ms": "7000"}, BROKER)

    assert (own.consumer_session_timeout_ms, own.consumer_heartbeat_interval_ms) == (50_000, 7_000)
    assert own.consumer_assignment_interval_ms == 1_000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"consumer.session.timeout.ms": "44999"}, "greater than or equal to group.consumer.min.session.timeout.ms"),
        ({"consumer.session.timeout.ms": "60001"}, "less than or equal to group.consumer.max.session.timeout.ms"),
        ({"consumer.heartbeat.interval.ms": "1"}, "greater than or equal to group.consumer.min.heartbeat.interval.ms"),
        ({"consumer.heartbeat.interval.ms": "99999"}, "less than or equal to group.consumer.max.heartbeat.interval.ms"),
        ({"consumer.assignment.interval.ms": "15001"}, "less than or equal to group.consumer.max.assignment"),
        ({"consumer.session.timeout.ms": "0"}, "at least 1"),
        ({"consumer.session.timeout.ms": "x"}, "Not a number"),
    ],
)
def test_values_out_of_bounds(settings: dict[str, str], message: str) -> None:
    """The broker's bounds hold for what a group sets."""
    with pytest.raises(ConfigError, match=message):
        GroupOptions(settings, BROKER).check(settings, BROKER)


def test_a_session_is_longer_than_a_heartbeat() -> None:
    """Whichever of the two the group sets itself."""
    broker = BrokerConfig(
        {"group.consumer.min.session.timeout.ms": "1", "group.consumer.min.heartbeat.interval.ms": "1"}
    )
    settings = {"consumer.session.timeout.ms": "5000"}
    with pytest.raises(ConfigError, match=r"must be greater than consumer\.heartbeat\.interval\.ms"):
        GroupOptions(settings, broker).check(settings, broker)


def test_bounds_that_were_moved_later() -> None:
    """What was allowed once is moved to the nearest bound; so is the broker's own interval, which may change."""
    narrow = BrokerConfig({"group.consumer.max.session.timeout.ms": "45000"})
    own = GroupOptions({"consumer.session.timeout.ms": "60000"}, narrow).within_bounds(narrow)

    assert own.consumer_session_timeout_ms == 45_000
    GroupOptions({}, narrow).check({}, narrow)


def test_what_is_described() -> None:
    """The group's own value first, then the broker's."""
    entries = {entry.name: entry for entry in group_entries({"consumer.session.timeout.ms": "47000"}, BROKER)}
    session, heartbeat = entries["consumer.session.timeout.ms"], entries["consumer.heartbeat.interval.ms"]

    assert (session.value, session.source) == ("47000", 8)
    assert [(synonym.name, synonym.value, synonym.source) for synonym in session.synonyms] == [
        ("consumer.session.timeout.ms", "47000", 8),
        ("group.consumer.session.timeout.ms", "50000", 4),
        ("group.consumer.session.timeout.ms", "45000", 5),
    ]
    assert (heartbeat.value, heartbeat.source) == ("5000", 5)


@pytest.mark.parametrize(
    "settings",
    [
        {"group.consumer.min.session.timeout.ms": "60001", "group.consumer.session.timeout.ms": "60001"},
        {"group.consumer.session.timeout.ms": "44999"},
        {"group.consumer.heartbeat.interval.ms": "15001"},
        {"group.consumer.assignment.interval.ms": "15001"},
        {
            "group.consumer.max.heartbeat.interval.ms": "60000",
            "group.consumer.heartbeat.interval.ms": "45000",
        },
        {"group.consumer.assignors": ""},
        {"group.consumer.assignors": "uniform,mine"},
        {"group.consumer.migration.policy": "sideways"},
        {"group.consumer.regex.refresh.interval.ms": "9999"},
    ],
)
def test_settings_of_a_broker_that_do_not_fit(settings: dict[str, str]) -> None:
    """Each default lies within its bounds, and so on, as GroupCoordinatorConfig has it."""
    with pytest.raises(ConfigError):
        BrokerConfig(settings)


def test_the_policy_is_read_in_any_case() -> None:
    """As in Kafka, where it is a word and not a name."""
    assert BrokerConfig({"group.consumer.migration.policy": "Upgrade"}).group_consumer_migration_policy == "Upgrade"

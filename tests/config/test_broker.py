"""The broker's options and what they have to do with each other."""

import pytest

from kpy.config import BrokerConfig, ConfigError
from kpy.config.kafka_names import NAMES


def test_defaults_pass_their_own_checks() -> None:
    """Every default is a value that could have been set."""
    for option in BrokerConfig.options.values():
        text = option.format(option.default)
        if text is not None:
            assert option.parse(text) == option.default, option.name


def test_a_name_is_honoured_or_not() -> None:
    """The table and the list of what is not honoured have no name in common."""
    assert not NAMES & BrokerConfig.options.keys()


def test_a_configuration_does_not_change() -> None:
    """Whoever holds one can rely on it."""
    with pytest.raises(AttributeError):
        BrokerConfig().num_partitions = 2


def test_files_have_no_size_before_they_are_written() -> None:
    """log.preallocate is refused with the reason, as a static setting and at run time; false is what holds anyway."""
    assert BrokerConfig({"log.preallocate": "false"}).log_preallocate is False
    with pytest.raises(ConfigError, match="files grow as they are written"):
        BrokerConfig({"log.preallocate": "true"})
    with pytest.raises(ConfigError, match="files grow as they are written"):
        BrokerConfig().with_dynamic({"log.preallocate": "true"}, {})


def test_node_id_and_broker_id_are_one() -> None:
    """Either name sets both, and two different values are refused."""
    assert BrokerConfig({"broker.id": "7"}).node_id == 7
    assert BrokerConfig({"node.id": "7"}).broker_id == 7
    with pytest.raises(ConfigError, match=r"node.id=1 and broker.id=2"):
        BrokerConfig({"node.id": "1", "broker.id": "2"})


@pytest.mark.parametrize(
    ("settings", "directory"),
    [
        ({}, None),
        ({"log.dir": "a"}, "a"),
        ({"log.dirs": "b"}, "b"),
        ({"log.dir": "a", "log.dirs": "b"}, "b"),
        ({"log.dir": "a,b"}, "a,b"),
    ],
)
def test_data_dir(settings: dict[str, str], directory: str | None) -> None:
    """log.dirs counts before log.dir; neither is memory."""
    assert BrokerConfig(settings).data_dir == directory


def test_one_data_directory() -> None:
    """Several are refused, not reduced to one."""
    with pytest.raises(ConfigError, match="kpy keeps one data directory"):
        BrokerConfig({"log.dirs": "a,b"})


def test_dynamic_settings_lie_over_static_ones() -> None:
    """This broker's own before those of all brokers, both before the file."""
    config = BrokerConfig({"num.partitions": "2", "min.insync.replicas": "2", "message.max.bytes": "2"})

    changed = config.with_dynamic({"message.max.bytes": "3", "min.insync.replicas": "3"}, {"message.max.bytes": "4"})

    assert (changed.num_partitions, changed.min_insync_replicas, changed.message_max_bytes) == (2, 3, 4)
    assert config.message_max_bytes == 2


def test_room_for_at_least_one_request() -> None:
    """The bound on all requests follows the size of one, unless it is set."""
    assert BrokerConfig({"socket.request.max.bytes": "200000000"}).queued_max_request_bytes == 200000000
    with pytest.raises(ConfigError, match=r"must be at least socket\.request\.max\.bytes"):
        BrokerConfig({"queued.max.request.bytes": "1000"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"listeners": "PLAINTEXT"}, "not NAME://HOST:PORT"),
        ({"listeners": "PLAINTEXT://:65536"}, "no such port"),
        ({"listeners": "PLAINTEXT://:1,plaintext://:2"}, "a name of its own"),
        ({"listeners": "INSIDE://:1"}, "listener INSIDE has no security protocol"),
        ({"listeners": ""}, "at least one listener"),
        ({"listeners": "C://:1", "controller.listener.names": "C"}, "at least one listener"),
        ({"listener.security.protocol.map": "PLAINTEXT:TELNET"}, "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
        ({"advertised.listeners": "INSIDE://a:1"}, "listeners has no INSIDE"),
        ({"advertised.listeners": "PLAINTEXT://0.0.0.0:1"}, "meta-address"),
        ({"advertised.listeners": "PLAINTEXT://[::]:1"}, "meta-address"),
        ({"advertised.listeners": "PLAINTEXT://:1"}, "meta-address"),
    ],
)
def test_listeners_are_checked(settings: dict[str, str], message: str) -> None:
    """A listener that could not work is refused at once."""
    with pytest.raises(ConfigError, match=message):
        BrokerConfig(settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"log.cleaner.threads": "0"}, r"log\.cleaner\.threads: Value must be at least 1"),
        ({"log.cleaner.dedupe.buffer.size": "1048576"}, r"more than 1 MiB for each of log\.cleaner\.threads"),
        ({"log.cleaner.dedupe.buffer.size": "4000000", "log.cleaner.threads": "4"}, "more than 1 MiB"),
        ({"log.retention.ms": "0"}, r"0 for configuration log\.retention\.ms: must be unlimited \(-1\)"),
        ({"log.retention.hours": "0"}, r"0 for configuration log\.retention\.hours"),
    ],
)
def test_cleaning_that_cannot_be(settings: dict[str, str], message: str) -> None:
    """What Kafka does not start with; a finer unit makes a coarse one count for nothing."""
    with pytest.raises(ConfigError, match=message):
        BrokerConfig(settings)
    assert BrokerConfig({"log.retention.hours": "0", "log.retention.minutes": "1"}).log_retention_minutes == 1


def test_what_listens_everywhere_advertises_the_machine() -> None:
    """Without advertised.listeners, only a listener on one address advertises it."""
    listeners = "PLAINTEXT://0.0.0.0:1,B://[::1]:2"
    protocols = "PLAINTEXT:PLAINTEXT,B:PLAINTEXT"

    everywhere, one = BrokerConfig(
        {"listeners": listeners, "listener.security.protocol.map": protocols}
    ).client_listeners

    assert (everywhere.advertised_host, everywhere.advertised_port) == (None, 1)
    assert (one.host, one.advertised_host, one.advertised_port) == ("::1", "::1", 2)

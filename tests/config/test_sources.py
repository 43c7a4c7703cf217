"""Layers of settings become one configuration, or one line that says why not."""

import pytest

from kpy.config import BrokerConfig, ConfigError, Layer, load
from kpy.config.sources import listen_settings, nearest_name, parse_assignment


def from_file(**settings: str) -> Layer:
    return Layer("server.properties", dotted(settings), strict=False)


def from_command(**settings: str) -> Layer:
    return Layer("-c", dotted(settings))


def dotted(settings: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "."): text for name, text in settings.items()}


def refusal(*layers: Layer) -> str:
    with pytest.raises(ConfigError) as error:
        load(layers)
    return str(error.value)


def test_the_last_layer_counts() -> None:
    """What is said nearer to the command line hides what is said further away."""
    loaded = load([from_file(num_partitions="1", broker_rack="r"), from_command(num_partitions="2")])

    assert loaded.config.num_partitions == 2
    assert loaded.config.broker_rack == "r"
    assert loaded.warnings == []


def test_a_synonym_hides_its_synonyms_below() -> None:
    """-c log.roll.hours counts before the file's log.roll.ms, though Kafka prefers the latter in one file."""
    loaded = load(
        [from_file(log_roll_ms="5", log_dirs="a", broker_id="3"), from_command(log_roll_hours="2", log_dir="b")]
    )

    assert loaded.config.log_roll_ms is None
    assert loaded.config.log_roll_hours == 2
    assert loaded.config.data_dir == "b"
    assert loaded.config.node_id == 3


def test_a_bad_value_names_itself() -> None:
    """Origin, name, value, problem and what is allowed stand in one line."""
    assert refusal(from_command(num_partitions="none")) == (
        "-c: Invalid value none for configuration num.partitions:"
        " Not a number of type INT (allowed: an integer, 1 or more)"
    )


def test_a_hidden_bad_value_does_no_harm() -> None:
    """Only what counts is checked."""
    assert load([from_file(num_partitions="none"), from_command(num_partitions="2")]).config.num_partitions == 2


def test_an_unknown_name_is_an_error_on_the_command_line_and_a_warning_in_a_file() -> None:
    """A file may be shared with others; what is typed is meant."""
    assert refusal(from_command(num_partition="2")) == "-c: unknown option num.partition; did you mean num.partitions?"
    assert load([from_file(num_partition="2")]).warnings == [
        "server.properties: unknown option num.partition; did you mean num.partitions?"
    ]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("retention.ms", "log.retention.ms"),
        ("auto.create.topic.enable", "auto.create.topics.enable"),
        ("num.io.thread", "num.io.threads"),
        ("segment.bytes", "log.segment.bytes"),
        ("completely.else", None),
    ],
)
def test_nearest_name(name: str, nearest: str | None) -> None:
    """A slip of the finger and a topic's name for a broker's option are recognised."""
    assert nearest_name(name) == nearest


def test_what_kafka_has_and_kpy_does_not_is_a_warning() -> None:
    """Nothing is taken and silently dropped."""
    loaded = load([from_file(num_io_threads="8", num_network_threads="3"), from_command(background_threads="1")])

    assert loaded.warnings == [
        "server.properties: not honoured by kpy: num.io.threads, num.network.threads",
        "-c: not honoured by kpy: background.threads",
    ]


def test_what_is_kept_without_effect_is_a_warning() -> None:
    """An option that is only shown says so."""
    loaded = load([from_command(log_local_retention_ms="1")])

    assert loaded.config.log_local_retention_ms == 1
    assert loaded.warnings == [
        "-c: log.local.retention.ms is kept and shown but changes nothing: there is no tiered storage"
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"},
        {"ssl.keystore.location": "/k.jks"},
        {"sasl.enabled.mechanisms": "PLAIN"},
        {"listener.name.external.ssl.keystore.location": "/k.jks"},
        {"listener.name.external.scram-sha-256.sasl.jaas.config": "..."},
        {"listeners": "SSL://:9093"},
        {"listeners": "A://:9092", "listener.security.protocol.map": "A:SASL_PLAINTEXT"},
        {"security.inter.broker.protocol": "SSL"},
        {"process.roles": "controller"},
        {"controller.quorum.voters": "1@a:9093,2@b:9093"},
        {"controller.quorum.bootstrap.servers": "a:9093,b:9093"},
        {"create.topic.policy.class.name": "a.B"},
        {"config.providers": "file"},
    ],
)
def test_what_guards_something_stops_the_start(settings: dict[str, str]) -> None:
    """Somebody relies on it, so kpy does not run without it."""
    refusal(Layer("server.properties", settings, strict=False))


def test_a_guard_can_be_taken_back() -> None:
    """-c with an empty value starts without what the file asks for."""
    load([from_file(authorizer_class_name="a.B"), from_command(authorizer_class_name="")])


def test_kafkas_own_file_starts_a_broker() -> None:
    """The settings of the server.properties that Kafka 4.3 ships are good for kpy, whose controller opens no port."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": "localhost:9093",
        "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "inter.broker.listener.name": "PLAINTEXT",
        "advertised.listeners": "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
        "num.network.threads": "3",
        "log.dirs": "/data",
        "log.retention.hours": "168",
    }

    config = load([Layer("server.properties", settings, strict=False)]).config

    (listener,) = config.client_listeners
    assert (listener.name, listener.host, listener.port) == ("PLAINTEXT", "", 9092)
    assert (listener.advertised_host, listener.advertised_port) == ("localhost", 9092)
    assert config.data_dir == "/data"


@pytest.mark.parametrize("text", ["num.partitions", "=3", ""])
def test_an_assignment_has_a_name_and_a_value(text: str) -> None:
    """-c wants name=value."""
    with pytest.raises(ConfigError, match="not of the form name=value"):
        parse_assignment(text)


def test_an_assignment_splits_at_the_first_equals_sign() -> None:
    """The value may have equals signs of its own."""
    assert parse_assignment("broker.rack=a=b") == ("broker.rack", "a=b")


@pytest.mark.parametrize(
    ("configured", "arguments", "listeners", "advertised"),
    [
        ({}, {"port": 0}, "PLAINTEXT://localhost:0", ""),
        ({}, {"host": "::"}, "PLAINTEXT://[::]:9092", ""),
        (
            {"listeners": "A://1.2.3.4:1", "listener.security.protocol.map": "A:PLAINTEXT"},
            {"port": 2},
            "A://1.2.3.4:2",
            "",
        ),
        ({}, {"port": 1, "advertise": "example.org:2"}, "PLAINTEXT://localhost:1", "PLAINTEXT://example.org:2"),
        ({}, {"advertise": "[fe80::1]:2"}, None, "PLAINTEXT://[fe80::1]:2"),
    ],
)
def test_listen_settings(
    configured: dict[str, str], arguments: dict[str, str | int], listeners: str | None, advertised: str
) -> None:
    """--host and --port change the one listener, and what it advertised before no longer holds."""
    given: dict[str, object] = {"host": None, "port": None, "advertise": None, **arguments}

    settings = listen_settings(BrokerConfig(configured), **given)  # type: ignore[arg-type]

    assert settings.get("listeners") == listeners
    assert settings["advertised.listeners"] == advertised


@pytest.mark.parametrize("address", ["0.0.0.0:9092", "[::]:9092", ":9092", "host", "host:port"])
def test_a_meta_address_is_never_advertised(address: str) -> None:
    """Nobody can connect to every interface, or to a host without a port."""
    with pytest.raises(ConfigError):
        listen_settings(BrokerConfig(), host=None, port=None, advertise=address)


def test_port_is_for_one_listener() -> None:
    """With several listeners, --port would not know which."""
    config = BrokerConfig(
        {"listeners": "PLAINTEXT://:1,B://:2", "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,B:PLAINTEXT"}
    )

    with pytest.raises(ConfigError, match="PLAINTEXT, B"):
        listen_settings(config, host=None, port=3, advertise=None)

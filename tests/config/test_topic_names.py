"""Every name of Kafka's own TopicConfig does something here, does nothing for a reason that is said, or is refused."""

import os
import re
import zipfile
from dataclasses import fields

import pytest

from interop_tests.oracle.libraries import KAFKA_VERSION, libraries_directory
from kpy.config import BrokerConfig, ConfigError, TopicConfig
from kpy.storage.log_config import LogConfig

CLASS = "org/apache/kafka/common/config/TopicConfig.class"

WITHOUT_EFFECT = {
    # on one broker they have none in Kafka either
    "min.insync.replicas",
    "unclean.leader.election.enable",
    # nor without tiered storage
    "local.retention.bytes",
    "local.retention.ms",
    "remote.log.copy.disable",
    "remote.log.delete.on.disable",
}
REFUSED = {
    "message.downconversion.enable": "Unknown topic config name: message.downconversion.enable",  # as in Kafka 4
    "remote.storage.enable": "Tiered storage is disabled in the broker",
    "preallocate": "files grow as they are written",
}


def kafkas_names() -> set[str]:
    """The constants of the class that look like names of options."""
    path = libraries_directory() / f"kafka-clients-{KAFKA_VERSION}.jar"
    if not path.exists():
        reason = f"{path} is not there: `python -m interop_tests.oracle --libraries` fetches it"
        if os.environ.get("KPY_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    data = zipfile.ZipFile(path).read(CLASS)
    # a text in a class file: 1, its size in two bytes, and its bytes
    texts = {data[found.end() : found.end() + found[1][0]] for found in re.finditer(rb"\x01\x00(.)", data, re.DOTALL)}
    return {text.decode() for text in texts if re.fullmatch(rb"[a-z]+(\.[a-z0-9]+)+|preallocate", text)}


def test_the_names_are_those_of_kafka() -> None:
    """Those of TopicConfig that Kafka's brokers take, and a few more: of throttles, and one for tests."""
    names = kafkas_names()

    assert len(names) == 32
    assert names - TopicConfig.options.keys() == {"message.downconversion.enable"}
    assert TopicConfig.options.keys() - names == {
        "internal.segment.bytes",
        "follower.replication.throttled.replicas",
        "leader.replication.throttled.replicas",
    }


def test_each_is_honoured_or_refused() -> None:
    """What a log is told of is honoured; the rest says why it has no effect, or is an error."""
    told = {field.name.replace("_", ".") for field in fields(LogConfig)}

    for name in kafkas_names():
        option = TopicConfig.options.get(name)
        reason = option.without_effect if option is not None else ""
        assert (name in told) + (name in WITHOUT_EFFECT) + (name in REFUSED) == 1, name
        assert (name in WITHOUT_EFFECT) == bool(reason), name


@pytest.mark.parametrize(("name", "message"), REFUSED.items())
def test_refused(name: str, message: str) -> None:
    """With an error that says why."""
    with pytest.raises(ConfigError, match=message):
        TopicConfig({name: "true"}, BrokerConfig())

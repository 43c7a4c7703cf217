"""What a broker says of itself in ApiVersions: clients choose by it how they speak."""

from typing import Any

from kafka.protocol.metadata.api_versions import ApiVersionsRequest

from interop_tests.brokers import Broker
from interop_tests.conformance.differences import APIS_NOT_SERVED, FEATURES_NOT_SERVED
from interop_tests.wire import Wire

APACHE_KAFKA = """
    0 0-13, 1 4-18, 2 1-11, 3 0-13, 8 2-10, 9 1-10, 10 0-6, 11 0-9, 12 0-4, 13 0-5, 14 0-5, 15 0-6, 16 0-5, 17 0-1,
    18 0-4, 19 2-7, 20 1-6, 21 0-2, 22 0-5, 23 2-4, 24 0-5, 25 0-4, 26 0-5, 27 1-2, 28 0-5, 29 1-3, 30 1-3, 31 1-3,
    32 1-4, 33 0-2, 34 1-2, 35 1-5, 36 0-2, 37 0-3, 38 1-3, 39 1-2, 40 1-2, 41 1-3, 42 0-2, 43 0-2, 44 0-1, 45 0-1,
    46 0-0, 47 0-0, 48 0-1, 49 0-1, 50 0-0, 51 0-0, 55 0-2, 57 0-2, 60 0-2, 61 0-0, 64 0-0, 65 0-0, 66 0-2, 68 0-1,
    69 0-1, 74 0-1, 75 0-0, 76 1-1, 77 1-1, 78 1-2, 79 1-2, 80 0-1, 81 0-0, 83 0-0, 84 0-0, 85 0-1, 86 0-0, 87 0-1,
    88 0-0, 89 0-0, 90 0-1, 91 0-0, 92 0-0
"""
"""The table of Apache Kafka 4.3.1, one node with defaults."""

FEATURES = {
    "eligible.leader.replicas.version": 1,
    "group.version": 1,
    "kraft.version": 1,
    "metadata.version": 30,
    "share.version": 1,
    "streams.version": 1,
    "transaction.version": 2,
}
"""The features that Apache Kafka 4.3.1 finalizes when it formats a directory."""


def ask(broker: Broker) -> Any:
    with Wire(broker) as wire:
        return wire.ask(ApiVersionsRequest(client_software_name="test", client_software_version="1"), 4)


def test_the_table_is_apache_kafkas(broker: Broker) -> None:
    """Every API is listed over the whole range that Apache Kafka 4.3.1 lists, but for those that kpy does not serve."""
    expected = {}
    for row in APACHE_KAFKA.split(","):
        key, versions = row.split()
        minimum, maximum = versions.split("-")
        expected[int(key)] = (int(minimum), int(maximum))
    if broker.name == "kpy":
        expected = {key: versions for key, versions in expected.items() if key not in APIS_NOT_SERVED}

    assert {entry.api_key: (entry.min_version, entry.max_version) for entry in ask(broker).api_keys} == expected


def test_the_finalized_features_are_apache_kafkas(broker: Broker) -> None:
    """A feature is at Apache Kafka's level, if what is behind it is there; clients change their behaviour by it."""
    expected = dict(FEATURES)
    if broker.name == "kpy":
        expected = {name: level for name, level in expected.items() if name not in FEATURES_NOT_SERVED}

    assert {feature.name: feature.max_version_level for feature in ask(broker).finalized_features} == expected

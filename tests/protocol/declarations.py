"""Every declaration there is, for the tests that go through all of them."""

from collections.abc import Iterator

from kpy.protocol import (
    consumer_group_records,
    group_records,
    metadata_records,
    share_group_records,
    share_state_records,
    streams_group_records,
    transaction_records,
)
from kpy.protocol.coordinator_records import CoordinatorRecords
from kpy.protocol.embedded import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from kpy.protocol.messages import declared_apis, request_class, response_class
from kpy.protocol.messages.headers import RequestHeader, ResponseHeader
from kpy.protocol.schema import Data

REQUESTS = [request_class(api) for api in sorted(declared_apis())]
RESPONSES = [response_class(api) for api in sorted(declared_apis())]
HEADERS: list[type[Data]] = [RequestHeader, ResponseHeader]
EMBEDDED: list[type[Data]] = [ConsumerProtocolSubscription, ConsumerProtocolAssignment]
COORDINATORS: dict[str, list[CoordinatorRecords]] = {
    "group": [
        group_records.RECORDS,
        consumer_group_records.RECORDS,
        share_group_records.RECORDS,
        streams_group_records.RECORDS,
    ],
    "transaction": [transaction_records.RECORDS],
    "share": [share_state_records.RECORDS],
}
"""The records of each coordinator, by the name that its jar has in Apache Kafka."""
COORDINATOR_RECORDS = {
    coordinator: [message for records in tables for pair in records.types.values() for message in pair]
    for coordinator, tables in COORDINATORS.items()
}
METADATA_RECORDS = list(metadata_records.RECORD_TYPES.values())

DECLARATIONS: list[type[Data]] = [
    *(REQUESTS + RESPONSES + HEADERS + EMBEDDED),
    *(message for messages in COORDINATOR_RECORDS.values() for message in messages),
    *METADATA_RECORDS,
]


def every_version(declarations: list[type[Data]]) -> Iterator[tuple[type[Data], int]]:
    """For pytest: each declaration with each of its versions."""
    for declaration in declarations:
        for version in declaration.versions:
            yield declaration, version


def name_of(value: object) -> str:
    """How pytest names a parameter: the declaration's name, then its version."""
    return value.__name__ if isinstance(value, type) else f"v{value}"

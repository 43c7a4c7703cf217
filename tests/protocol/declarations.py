"""Every declaration there is, for the tests that go through all of them."""

from collections.abc import Iterator

from kpy.protocol import group_records, metadata_records
from kpy.protocol.embedded import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from kpy.protocol.messages import declared_apis, request_class, response_class
from kpy.protocol.messages.headers import RequestHeader, ResponseHeader
from kpy.protocol.schema import Data

REQUESTS = [request_class(api) for api in sorted(declared_apis())]
RESPONSES = [response_class(api) for api in sorted(declared_apis())]
HEADERS: list[type[Data]] = [RequestHeader, ResponseHeader]
EMBEDDED: list[type[Data]] = [ConsumerProtocolSubscription, ConsumerProtocolAssignment]
GROUP_RECORDS = [schema for pair in group_records.RECORD_TYPES.values() for schema in pair]
METADATA_RECORDS = list(metadata_records.RECORD_TYPES.values())

DECLARATIONS: list[type[Data]] = [*REQUESTS, *RESPONSES, *HEADERS, *EMBEDDED, *GROUP_RECORDS, *METADATA_RECORDS]


def every_version(declarations: list[type[Data]]) -> Iterator[tuple[type[Data], int]]:
    """For pytest: each declaration with each of its versions."""
    for declaration in declarations:
        for version in declaration.versions:
            yield declaration, version


def name_of(value: object) -> str:
    """How pytest names a parameter: the declaration's name, then its version."""
    return value.__name__ if isinstance(value, type) else f"v{value}"

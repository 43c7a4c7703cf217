"""docs/protocol.md, written from the declarations and the handlers: `make docs`. A test keeps the file true."""

import sys
from collections.abc import Iterable, Iterator, Mapping

from kpy.protocol import (
    consumer_group_records,
    group_records,
    share_group_records,
    share_state_records,
    streams_group_records,
    transaction_records,
)
from kpy.protocol.api_keys import ApiKey
from kpy.protocol.coordinator_records import CoordinatorRecords
from kpy.protocol.embedded import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from kpy.protocol.messages import declared_apis, request_class
from kpy.server.handlers import Handler, all_handlers

ADVERTISED_BY_KAFKA: Mapping[ApiKey, str] = {
    ApiKey.PRODUCE: "3-13, listed as 0-13",  # KAFKA-18659: librdkafka and kcat look for the low versions
    ApiKey.INIT_PRODUCER_ID: "0-5",  # 6 is marked unstable (KIP-939)
    ApiKey.GET_TELEMETRY_SUBSCRIPTIONS: "0, with a telemetry receiver only",
    ApiKey.PUSH_TELEMETRY: "0, with a telemetry receiver only",
}
"""What Apache Kafka 4.3 lists in ApiVersions where it is not simply every version that it has."""

TOPICS: Mapping[str, tuple[CoordinatorRecords, ...]] = {
    "__consumer_offsets": (
        group_records.RECORDS,
        consumer_group_records.RECORDS,
        share_group_records.RECORDS,
        streams_group_records.RECORDS,
    ),
    "__transaction_state": (transaction_records.RECORDS,),
    "__share_group_state": (share_state_records.RECORDS,),
}

INTRODUCTION = """\
# Protocol

Every API that a broker of Apache Kafka 4.3 answers, at the versions that

- kpy has declared: it can read and write their requests and responses, in `kpy/protocol/messages`, where each module
  says which version brought what;
- kpy serves, and lists in its answer to ApiVersions;
- Apache Kafka 4.3 lists there.

What is not done, and what clients get instead, is in [not-done.md](not-done.md). This page is made from the
declarations and the handlers by `make docs`.

"""

RECORDS = """
## Records

What coordinators write into their topics, in Kafka's own layout, whether kpy has that coordinator yet or not: the type
is the number that a key begins with, the versions are those of the value.

"""

BLOBS = """
## Blobs

What members of a group of type `consumer` put into JoinGroup and SyncGroup.

"""


def reference() -> str:
    """The page."""
    return "".join(_page())


def _page() -> Iterator[str]:
    yield INTRODUCTION
    handlers = all_handlers()
    rows = (_api(api, handlers.get(api)) for api in sorted(declared_apis()))
    yield from _table(("key", "API", "declared", "served", "Kafka 4.3"), rows)
    yield RECORDS
    yield from _table(("topic", "type", "record", "versions"), _records())
    yield BLOBS
    blobs = (ConsumerProtocolSubscription, ConsumerProtocolAssignment)
    yield from _table(("blob", "versions"), ((f"`{blob.__name__}`", str(blob.versions)) for blob in blobs))


def _api(api: ApiKey, handler: Handler | None) -> tuple[str, ...]:
    request = request_class(api)
    kafka = ADVERTISED_BY_KAFKA.get(api, str(request.versions))
    return str(int(api)), request.__name__.removesuffix("Request"), str(request.versions), _served(handler), kafka


def _served(handler: Handler | None) -> str:
    if handler is None:
        return "no"
    served, listed = handler.served, handler.advertised
    return str(served) if served == listed else f"{served}, listed as {listed}"


def _records() -> Iterator[tuple[str, ...]]:
    for topic, tables in TOPICS.items():
        for number, (_, value) in sorted(row for table in tables for row in table.types.items()):
            yield f"`{topic}`", str(int(number)), f"`{value.__name__.removesuffix('Value')}`", str(value.versions)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (heads, ("-",) * len(heads), *rows):
        yield "| " + " | ".join(row) + " |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())

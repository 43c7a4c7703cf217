"""The documentation of the protocol is what the declarations and the handlers say."""

from pathlib import Path

from kpy.server.handlers import all_handlers
from kpy.server.protocol_reference import ADVERTISED_BY_KAFKA, TOPICS, reference
from tests.protocol.declarations import COORDINATORS

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


def test_the_page_is_up_to_date() -> None:
    """docs/protocol.md is as `make docs` writes it."""
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_all_records_are_on_the_page() -> None:
    """Every table of records is that of one of the topics."""
    assert {table for tables in TOPICS.values() for table in tables} == {
        table for tables in COORDINATORS.values() for table in tables
    }


def test_served_as_in_kafka() -> None:
    """What is served is served at all versions that Kafka has of it, but for those that Kafka keeps to itself."""
    for api, handler in all_handlers().items():
        if api not in ADVERTISED_BY_KAFKA:
            assert handler.served == handler.advertised == handler.request_class.versions

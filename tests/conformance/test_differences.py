"""The list of how kpy's answers differ from Apache Kafka's, and the page that is made from it."""

from collections import Counter
from pathlib import Path

from interop_tests.conformance.comparison import area_of
from interop_tests.conformance.differences import APIS_NOT_SERVED, DIFFERENCES, QUESTIONS, SERVED
from interop_tests.conformance.reference import reference
from kpy.protocol.api_keys import ApiKey
from kpy.protocol.messages import declared_apis
from kpy.server.handlers import all_handlers

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
WITH_A_RECEIVER_ONLY = {ApiKey.GET_TELEMETRY_SUBSCRIPTIONS, ApiKey.PUSH_TELEMETRY}
"""What Kafka does not list with its defaults, either."""


def test_the_page_is_up_to_date() -> None:
    """docs/conformance.md is as `make docs` writes it."""
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_the_apis_that_are_not_served() -> None:
    """The keys that kpy's table may lack are those for which there is no handler, and no others."""
    assert declared_apis() - all_handlers().keys() - WITH_A_RECEIVER_ONLY == APIS_NOT_SERVED


def test_a_question_is_listed_once() -> None:
    """Every question that is answered otherwise has one reason, and is among those about what kpy serves."""
    names = [name for difference in DIFFERENCES for name in difference.changes]

    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [name for name in names if area_of(name) not in QUESTIONS or not name.startswith(SERVED)] == []

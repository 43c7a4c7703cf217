"""Regular expressions of topic names: RE2's syntax, the whole name, linear time."""

import pytest

from kpy.groups.consumer.patterns import NAMES_PER_STEP, PatternResolution, check_pattern, matching
from kpy.protocol.errors import ErrorCode, KafkaError

NAMES = ["orders", "orders-eu", "payments", "x.orders"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("orders", {"orders"}),
        ("orders.*", {"orders", "orders-eu"}),
        (".*orders", {"orders", "x.orders"}),
        ("(?i)ORDERS", {"orders"}),
        (r"\w+", {"orders", "payments"}),
        ("[[:alpha:]]+", {"orders", "payments"}),
        ("orders|payments", {"orders", "payments"}),
        ("nothing", set()),
    ],
)
def test_whole_names_match(pattern: str, expected: set[str]) -> None:
    """As in Kafka, which asks RE2/J whether the name matches and not whether it is found in it."""
    assert matching(pattern, NAMES) == expected


@pytest.mark.parametrize("pattern", ["(", "[", "a**", "(?=a)", r"(a)\1", "(?<=a)b", "a{1001}", r"\C{500}{500}"])
def test_what_is_no_pattern(pattern: str) -> None:
    """Not even what Java and Python understand: there is no way to match it in linear time."""
    with pytest.raises(KafkaError) as raised:
        check_pattern(pattern)

    assert raised.value.code is ErrorCode.INVALID_REGULAR_EXPRESSION
    assert pattern in (raised.value.message or "")


def test_a_hostile_pattern_takes_no_time() -> None:
    """What takes a backtracking matcher longer than the universe lasts."""
    assert matching("(a|aa)+b", ["a" * 249]) == frozenset()
    assert matching("(.*)*x", ["a" * 249]) == frozenset()


def test_many_patterns_over_many_topics() -> None:
    """A step looks at so many names, or at all for one pattern, and the next goes on."""
    names = [f"t{number}" for number in range(NAMES_PER_STEP // 2)]
    patterns = [f"t{number}" for number in range(5)]
    resolution = PatternResolution(version=7)

    steps = [(resolution.step(patterns, names), len(resolution.found)) for _ in range(3)]

    assert steps == [(False, 2), (False, 4), (True, 5)]
    assert resolution.found == {pattern: {pattern} for pattern in patterns}

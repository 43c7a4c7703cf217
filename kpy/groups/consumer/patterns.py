"""Regular expressions of topic names, in RE2's syntax and in linear time.

A pattern comes from a client, so it must not be able to keep the broker busy: RE2 does not backtrack and bounds the
size of what it compiles. Kafka uses RE2/J, its port to Java, which differs in rarities (docs/not-done.md). A pattern
has to match the whole name.
"""

from collections.abc import Collection, Iterable

from kpy.protocol.errors import ErrorCode, KafkaError

COMPILED_BYTES_MAX = 8 << 20
"""What one compiled pattern may take, RE2's own default."""


NAMES_PER_STEP = 2_000
"""After so many names have been looked at, at 2 us each, others come first. A pattern is not looked up by halves."""


def check_pattern(pattern: str) -> None:
    """Raise INVALID_REGULAR_EXPRESSION if this is none."""
    _compile(pattern)


def matching(pattern: str, names: Iterable[str]) -> frozenset[str]:
    """The names that match as a whole."""
    compiled = _compile(pattern)
    return frozenset(name for name in names if compiled.fullmatch(name))


class PatternResolution:
    """A group's patterns while they are looked up, some in each step. `version` is that of the topics at the start."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.found: dict[str, frozenset[str]] = {}

    def step(self, patterns: Iterable[str], names: Collection[str]) -> bool:
        """Look some up; whether all of these are found."""
        looked_at = 0
        for pattern in patterns:
            if pattern in self.found:
                continue
            if looked_at >= NAMES_PER_STEP:
                return False
            self.found[pattern] = matching(pattern, names)
            looked_at += len(names)
        return True


def _compile(pattern: str):  # type: ignore[no-untyped-def]
    import re2  # noqa: PLC0415 - only groups that subscribe by pattern need it

    options = re2.Options()
    options.log_errors = False
    options.max_mem = COMPILED_BYTES_MAX
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "it cannot be read"
        if isinstance(reason, bytes):
            reason = reason.decode(errors="replace")
        raise KafkaError(
            ErrorCode.INVALID_REGULAR_EXPRESSION,
            f"SubscribedTopicRegex `{pattern}` is not a valid regular expression: {reason}.",
        ) from None

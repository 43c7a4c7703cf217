"""What a message declaration says about a field besides its type: in which versions it is, and what holds without it.

Versions are written as in Kafka's message files: "3+", "0-4", "2" or "none".
"""

from collections.abc import Iterator
from typing import Any

HIGHEST_VERSION = 0x7FFF
TYPE_DEFAULT: Any = object()
"""Stands for the zero of the field's type: what Kafka takes when a declaration gives no default."""


class VersionRange:
    """Versions from `minimum` to `maximum`, both of them in."""

    __slots__ = ("maximum", "minimum")

    def __init__(self, minimum: int, maximum: int = HIGHEST_VERSION) -> None:
        self.minimum = minimum
        self.maximum = maximum

    @classmethod
    def parse(cls, text: str) -> "VersionRange":
        if text == "none":
            return NO_VERSIONS
        if text.endswith("+"):
            return cls(int(text[:-1]))
        first, _, last = text.partition("-")
        return cls(int(first), int(last or first))

    def __contains__(self, version: int) -> bool:
        return self.minimum <= version <= self.maximum

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.minimum, self.maximum + 1))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VersionRange) and (self.minimum, self.maximum) == (other.minimum, other.maximum)

    def __hash__(self) -> int:
        return hash((self.minimum, self.maximum))

    def __repr__(self) -> str:
        return f"VersionRange({str(self)!r})"

    def __str__(self) -> str:
        if self.maximum < self.minimum:
            return "none"
        if self.maximum == HIGHEST_VERSION:
            return f"{self.minimum}+"
        return f"{self.minimum}-{self.maximum}" if self.minimum < self.maximum else str(self.minimum)


NO_VERSIONS = VersionRange(0, -1)
ALL_VERSIONS = VersionRange(0)


class Specifier:
    """What stands behind the `=` of a field; made by `field` and its short forms."""

    __slots__ = ("default", "flexible", "ignorable", "nullable", "tag", "tagged", "versions")

    def __init__(
        self,
        versions: VersionRange = ALL_VERSIONS,
        *,
        default: Any = TYPE_DEFAULT,
        nullable: str | None = None,
        ignorable: bool = False,
        tag: int | None = None,
        tagged: VersionRange = NO_VERSIONS,
        flexible: str | None = None,
    ) -> None:
        self.versions = versions
        self.default = default
        self.nullable = nullable
        self.ignorable = ignorable
        self.tag = tag
        self.tagged = tagged
        self.flexible = flexible


# These return Any, and no type checker is told that they are field specifiers: it takes what they return for the
# default of the field, and a field with a specifier may indeed be left out of the constructor.


def field(
    *,
    versions: str = "0+",
    default: Any = TYPE_DEFAULT,
    nullable: str | None = None,
    ignorable: bool = False,
    tag: int | None = None,
    tagged: str = "none",
    flexible: str | None = None,
) -> Any:
    """The general specifier, of which the others are short forms.

    `default` is Kafka's, and without it the zero of the type. `nullable` says which versions may hold null, if not all
    (the type is a Nullable one then). `flexible="none"` keeps the plain form in flexible versions too.
    """
    return Specifier(
        VersionRange.parse(versions),
        default=default,
        nullable=nullable,
        ignorable=ignorable,
        tag=tag,
        tagged=VersionRange.parse(tagged),
        flexible=flexible,
    )


def since(version: int, /, *, default: Any = TYPE_DEFAULT, nullable: str | None = None, ignorable: bool = False) -> Any:
    """The field came with that version."""
    return Specifier(VersionRange(version), default=default, nullable=nullable, ignorable=ignorable)


def until(version: int, /, *, default: Any = TYPE_DEFAULT, nullable: str | None = None, ignorable: bool = False) -> Any:
    """That version is the last one with the field."""
    return Specifier(VersionRange(0, version), default=default, nullable=nullable, ignorable=ignorable)


def between(
    first: int, last: int, /, *, default: Any = TYPE_DEFAULT, nullable: str | None = None, ignorable: bool = False
) -> Any:
    """The field is in these versions and those between them."""
    return Specifier(VersionRange(first, last), default=default, nullable=nullable, ignorable=ignorable)


def tagged(
    tag: int,
    /,
    *,
    since: int,
    until: int = HIGHEST_VERSION,
    default: Any = TYPE_DEFAULT,
    nullable: str | None = None,
    ignorable: bool = False,
) -> Any:
    """A tagged field (KIP-482): only on the wire when it is not the default."""
    versions = VersionRange(since, until)
    return Specifier(versions, default=default, nullable=nullable, ignorable=ignorable, tag=tag, tagged=versions)

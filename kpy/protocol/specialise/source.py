"""Writing Python functions as text: lines, blocks, names that are free, and constants that are objects."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from struct import Struct
from typing import Any

from construct import Construct, Flag, FormatField

from kpy.protocol.primitives import UuidType

SMALL_ARRAY = 8
"""Arrays of integers that are shorter than this have a `Struct` of their own ready for each length."""


class Source:
    """The text of a module of functions, and the objects that it refers to."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.namespace: dict[str, Any] = {}
        self._lines: list[str] = []
        self._depth = 0
        self._names = 0
        self._constants: dict[int, str] = {}

    def line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """A line that ends in a colon, and what is written inside it."""
        self.line(head)
        self._depth += 1
        yield
        self._depth -= 1

    def name(self, stem: str) -> str:
        """A variable that is not in use."""
        self._names += 1
        return f"{stem}{self._names}"

    def constant(self, stem: str, value: Any) -> str:
        """A name for an object; literals stand for themselves."""
        if value is None or type(value) in {bool, int, str, bytes}:
            return repr(value)
        if id(value) not in self._constants:
            self._constants[id(value)] = self.name(stem.upper() + "_")
            self.namespace[self._constants[id(value)]] = value
        return self._constants[id(value)]

    @property
    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

    def function(self, name: str) -> Any:
        """Compile what was written and return the function of that name."""
        exec(compile(self.text, f"<{self.title}>", "exec"), self.namespace)  # noqa: S102  # all of it written here
        return self.namespace[name]


def fixed_format(construct: Construct) -> str | None:
    """The `struct` code of a fixed-width type, None for any other."""
    if isinstance(construct, FormatField):
        code: str = construct.fmtstr[1:]
        return code
    if construct is Flag:
        return "?"
    return "16s" if isinstance(construct, UuidType) else None


@cache
def unpacker(codes: str) -> Callable[..., tuple[Any, ...]]:
    return Struct(">" + codes).unpack_from


@cache
def rows_unpacker(codes: str) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """What unpacks a whole buffer, one row of these after another."""
    return Struct(">" + codes).iter_unpack


@cache
def packer(codes: str) -> Callable[..., bytes]:
    return Struct(">" + codes).pack


@cache
def small_unpackers(code: str) -> tuple[Callable[..., tuple[Any, ...]], ...]:
    """By count: what unpacks that many."""
    return tuple(unpacker(f"{count}{code}") for count in range(SMALL_ARRAY))


@cache
def small_packers(count_code: str, code: str) -> tuple[Callable[..., bytes], ...]:
    """By count: what packs the count and that many."""
    return tuple(packer(f"{count_code}{count}{code}") for count in range(SMALL_ARRAY))

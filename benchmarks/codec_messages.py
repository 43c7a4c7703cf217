"""The messages that the benchmark of the codec sends through it: a typical and a large one of each API and version.

They are made from the declarations, so that none is missing. A typical message has arrays of two, short names, null
where null is the default, and no tagged field. A large one has arrays of fifty that hold arrays of ten, texts of which
every fourth takes a length of two bytes, no null, and its tagged fields; those of the structs inside are left out, as
they nearly always are.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from construct import Construct, Flag, Float64b

from kpy.protocol.layout import Field, Layout, layout
from kpy.protocol.messages import declared_apis, request_class, response_class
from kpy.protocol.primitives import ArrayType, BytesType, NullableStructType, RecordsType, TextType, UuidType
from kpy.protocol.schema import Data


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the parts of a message are."""

    name: str
    structs: tuple[int, ...]
    """How many are in an array of structs, by its depth; the last for all that are deeper."""
    values: int
    text_lengths: tuple[int, ...]
    """One text after another has these."""
    bytes_length: int
    records_length: int
    complete: bool
    """Whether the message's own tagged fields are set, and fields whose default is null."""


TYPICAL = Shape("typical", (2,), 3, (12, 20, 28, 36), 50, 1_000, complete=False)
LARGE = Shape("large", (50, 10, 4), 10, (12, 24, 36, 200), 1_000, 5_000, complete=True)
SHAPES = (TYPICAL, LARGE)


def every_version() -> Iterator[tuple[type[Data], int]]:
    """Each request and response that is declared, in each of its versions."""
    for api in sorted(declared_apis()):
        for declaration in (request_class(api), response_class(api)):
            for version in declaration.versions:
                yield declaration, version


def message(declaration: type[Data], version: int, shape: Shape) -> Any:
    """The message of that shape; always the same."""
    return _Filler(shape).struct(layout(declaration, version), 0)


class _Filler:
    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._numbers = count(1)

    def struct(self, tree: Layout, depth: int) -> Any:
        filled = {declared.name: self._field(declared, construct, depth) for declared, construct in tree.fields}
        for declared, construct in tree.tagged.values():
            is_set = self._shape.complete and depth == 0
            filled[declared.name] = self._value(construct, depth) if is_set else declared.default_value()
        absent = {declared.name: declared.default_value() for declared in tree.absent}
        return tree.message(**filled, **absent)

    def _field(self, declared: Field, construct: Construct, depth: int) -> Any:
        if declared.name == "error_code":
            return 0
        if declared.default is None and not self._shape.complete and not isinstance(construct, RecordsType):
            return None
        return self._value(construct, depth)

    def _value(self, construct: Construct, depth: int) -> Any:
        shape, number = self._shape, next(self._numbers)
        if isinstance(construct, Layout):
            return self.struct(construct, depth + 1)
        if isinstance(construct, NullableStructType):
            return self.struct(construct.struct, depth + 1)
        if isinstance(construct, ArrayType):
            if not isinstance(construct.element, Layout):
                return [self._value(construct.element, depth) for _ in range(shape.values)]
            size = shape.structs[min(depth, len(shape.structs) - 1)]
            return [self.struct(construct.element, depth + 1) for _ in range(size)]
        if isinstance(construct, TextType):
            length = shape.text_lengths[number % len(shape.text_lengths)]
            return f"{number}".ljust(length, "-")
        if isinstance(construct, RecordsType):
            return bytes(shape.records_length)
        if isinstance(construct, BytesType):
            return bytes(shape.bytes_length)
        if isinstance(construct, UuidType):
            return uuid.UUID(int=number << 64 | number)
        if construct is Float64b:
            return number / 8
        return True if construct is Flag else number % 100

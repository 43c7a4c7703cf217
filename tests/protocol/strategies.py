"""Random messages of any declaration, and one fixed message in which every field says something.

Both fill exactly the fields that the version has, and leave the others at their defaults, so that what is decoded is
equal to what was encoded.
"""

import uuid
from functools import cache
from typing import Any

from construct import Construct, Flag, Float64b
from hypothesis import strategies as st

from kpy.protocol.primitives import (
    ZERO_UUID,
    ArrayType,
    BytesType,
    NullableStructType,
    RecordsType,
    TextType,
    UuidType,
    WithLength,
)
from kpy.protocol.schema import Data, Layout, Message, layout

UNKNOWN_TAGS = range(1000, 1003)
"""Tags that no declaration has."""


def messages(declaration: type[Data], version: int, *, unknown_tags: bool = False) -> st.SearchStrategy[Any]:
    """Messages as that version can carry them, with tagged fields that nobody knows if asked for."""
    return structs(layout(declaration, version), unknown_tags)


@cache
def structs(tree: Layout, unknown_tags: bool) -> st.SearchStrategy[Any]:
    fields = {declared.name: values(construct, unknown_tags) for declared, construct in tree.fields}
    tagged = {
        declared.name: st.builds(declared.default_value) | values(construct, unknown_tags)
        for declared, construct in tree.tagged.values()
    }
    bytes_of_unknown = st.dictionaries(st.sampled_from(UNKNOWN_TAGS), st.binary(max_size=8), max_size=2)
    unknown = bytes_of_unknown if unknown_tags and tree.flexible else st.just({})
    return st.builds(build, st.just(tree), st.fixed_dictionaries({**fields, **tagged}), unknown)


def build(tree: Layout, fields: dict[str, Any], unknown: dict[int, bytes]) -> Message:
    """A message, or a struct inside one, of one version."""
    absent = {declared.name: declared.default_value() for declared in tree.absent}
    message: Message = tree.message(**fields, **absent)
    if unknown:
        message.unknown_tagged_fields = unknown
    return message


@cache
def values(construct: Construct, unknown_tags: bool) -> st.SearchStrategy[Any]:
    """What a field of this type can hold."""
    if isinstance(construct, Layout):
        return structs(construct, unknown_tags)
    if isinstance(construct, NullableStructType):
        return st.none() | values(construct.struct, unknown_tags)
    if isinstance(construct, WithLength):
        filled = _with_length(construct, unknown_tags)
        return st.none() | filled if construct.nullable else filled
    if isinstance(construct, UuidType):
        return st.sampled_from([ZERO_UUID, uuid.UUID(int=1)]) | st.uuids()
    if construct is Flag:
        return st.booleans()
    if construct is Float64b:
        return st.floats(allow_nan=False)  # which is not even equal to itself
    lowest, highest = integer_range(construct)
    return st.sampled_from([0, 1, lowest, highest]) | st.integers(lowest, highest)


def _with_length(construct: WithLength, unknown_tags: bool) -> st.SearchStrategy[Any]:
    if isinstance(construct, ArrayType):
        return st.lists(values(construct.element, unknown_tags), max_size=2)
    if isinstance(construct, TextType):
        return st.text(max_size=5) | st.sampled_from(["n" * 127, "ñ" * 64])
    assert isinstance(construct, (BytesType, RecordsType))
    return st.binary(max_size=5) | st.just(bytes(range(128)))


def integer_range(construct: Construct) -> tuple[int, int]:
    """The least and the greatest value of an integer type."""
    bits = 8 * construct.sizeof()
    if construct.fmtstr[-1].isupper():
        return 0, (1 << bits) - 1
    return -(1 << bits - 1), (1 << bits - 1) - 1


def full_message(declaration: type[Data], version: int, *, unknown_tags: bool = False, elements: int = 2) -> Any:
    """A message without a default, a null or an empty array, and if asked for, with an unknown tagged field wherever
    one can be. Its arrays have so many elements.
    """
    return full_struct(layout(declaration, version), unknown_tags, elements)


def full_struct(tree: Layout, unknown_tags: bool, elements: int) -> Message:
    filled = {
        declared.name: full_value(construct, seed, unknown_tags, elements)
        for seed, (declared, construct) in enumerate([*tree.fields, *tree.tagged.values()], start=1)
    }
    return build(tree, filled, {UNKNOWN_TAGS[0]: b"unknown"} if unknown_tags and tree.flexible else {})


def full_value(construct: Construct, seed: int, unknown_tags: bool, elements: int) -> Any:
    if isinstance(construct, Layout):
        return full_struct(construct, unknown_tags, elements)
    if isinstance(construct, NullableStructType):
        return full_value(construct.struct, seed, unknown_tags, elements)
    if isinstance(construct, ArrayType):
        return [full_value(construct.element, seed + index, unknown_tags, elements) for index in range(elements)]
    if isinstance(construct, TextType):
        return f"tëxt {seed}"
    if isinstance(construct, WithLength):
        return f"bytes {seed}".encode()
    if isinstance(construct, UuidType):
        return uuid.UUID(int=seed << 64 | seed)
    if construct is Float64b:
        return 100.5 + seed
    return True if construct is Flag else 100 + seed

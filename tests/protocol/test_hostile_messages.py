"""Bytes that are made to harm: in every message and version a DecodeError, in little memory and few steps."""

import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.errors import DecodeError
from kpy.protocol.layout import Decoder, interpreted_decoder
from kpy.protocol.messages import request_class
from kpy.protocol.primitives import MAX_REQUEST_ELEMENTS
from kpy.protocol.schema import Data, layout
from tests.memory import peak_growth_bytes
from tests.protocol.declarations import DECLARATIONS, name_of
from tests.protocol.hostile import Kind, Piece, arrays, flood, lies, pieces
from tests.protocol.strategies import full_message

BYTES_A_BYTE_MAX = 64
"""What a byte of a message may become in memory: one that holds nothing but the smallest of elements."""
STEPS_A_BYTE_MAX = 8
"""How many lines of generated code may run for a byte of it."""
OVERHEAD_BYTES = 10_000
OVERHEAD_STEPS = 500
ELEMENTS = 200

Damage = Callable[[Piece, int], list[bytes]]


def damaged(declaration: type[Data], damage: Damage) -> Iterator[tuple[int, bytes]]:
    """Messages of every version, with all their fields, in which one piece was replaced by something that `damage` has
    for it.
    """
    for version in declaration.versions:
        message = full_message(declaration, version, unknown_tags=True, elements=1)
        parts = pieces(layout(declaration, version), message)
        whole = b"".join(piece.data for piece in parts)
        assert whole == message.encode(version)
        position = 0
        for piece in parts:
            end = position + len(piece.data)
            for replacement in damage(piece, len(whole) - end):
                yield version, whole[:position] + replacement + whole[end:]
            position = end


def lying_lengths(piece: Piece, bytes_behind: int) -> list[bytes]:
    return lies(piece, bytes_behind) if piece.kind is Kind.LENGTH else []


def invalid_text(piece: Piece, bytes_behind: int) -> list[bytes]:
    """As long as the text, and no UTF-8: bytes that never occur, half a character, a surrogate, an overlong slash."""
    if piece.kind is not Kind.TEXT:
        return []
    wrong = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf")
    return [piece.data[: len(piece.data) - len(ending)] + ending for ending in wrong]


@pytest.mark.parametrize("damage", [lying_lengths, invalid_text])
@pytest.mark.parametrize("declaration", DECLARATIONS, ids=name_of)
def test_each_piece(declaration: type[Data], damage: Damage) -> None:
    """A length or a count that lies, a varint that is too long and text that is not UTF-8, one of them anywhere in a
    message: a DecodeError, for which no more is allocated than for the message without it.
    """
    for version in declaration.versions:
        declaration.decode(full_message(declaration, version).encode(version), version)  # makes the codec
    tracemalloc.start()
    try:
        for version, data in damaged(declaration, damage):
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            with pytest.raises(DecodeError):
                declaration.decode(data, version)
            _, peak = tracemalloc.get_traced_memory()
            assert peak - before < BYTES_A_BYTE_MAX * len(data) + OVERHEAD_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("damage", [lying_lengths, invalid_text])
@pytest.mark.parametrize("declaration", DECLARATIONS, ids=name_of)
def test_each_piece_interpreted(declaration: type[Data], damage: Damage) -> None:
    """The interpreted decoder refuses them as well: of each piece another one of its kind."""

    def one_of_them(piece: Piece, bytes_behind: int) -> list[bytes]:
        found = damage(piece, bytes_behind)
        return found[bytes_behind % len(found) :][:1] if found else []

    decoders = {version: interpreted_decoder(layout(declaration, version)) for version in declaration.versions}
    for version, data in damaged(declaration, one_of_them):
        with pytest.raises(DecodeError):
            decoders[version](data, 0)


def steps(decode: Decoder, data: bytes) -> int:
    """How many lines run, and functions are called, to decode that."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        decode(data, 0)
    finally:
        sys.settrace(before)
    return count


def peak_bytes(decoder: Callable[..., Data], data: bytes, version: int) -> int:
    """What this process had in memory at most while it decoded."""
    tracemalloc.start()
    decoder(data, version)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=name_of)
def test_floods(declaration: type[Data]) -> None:
    """A message that is full of the smallest elements, whichever array they are in, takes memory and steps by its size
    and not by what it is made of.
    """
    for version in declaration.versions:
        decoder = declaration.decode
        for path in arrays(declaration, version):
            message = flood(declaration, version, path, ELEMENTS)
            data = message.encode(version)
            assert decoder(data, version) == message
            peak = min(peak_bytes(decoder, data, version) for _ in range(2))  # other threads allocate now and then
            assert peak < BYTES_A_BYTE_MAX * len(data) + OVERHEAD_BYTES
            assert steps(declaration.decoders[version], data) < STEPS_A_BYTE_MAX * len(data) + OVERHEAD_STEPS


REQUEST_BYTES_MAX = 64 << 20
"""What a request may become: MAX_REQUEST_ELEMENTS of less than 500 bytes each, the most that an element takes."""


@pytest.mark.parametrize(
    ("codec", "api", "path", "outer", "inner"),
    [
        ("generated", "STREAMS_GROUP_HEARTBEAT", ["topology", "subtopologies"], 1, MAX_REQUEST_ELEMENTS - 2),
        ("generated", "STREAMS_GROUP_HEARTBEAT", ["topology", "subtopologies", "copartition_groups"], 400, 400),
        ("generated", "OFFSET_FETCH", ["groups", "topics"], 400, 400),
        ("generated", "CREATE_TOPICS", ["topics", "assignments"], 400, 400),
        ("interpreted", "OFFSET_FETCH", ["groups", "topics"], 400, 400),
    ],
)
def test_memory_of_hostile_requests(
    tmp_path: Path, codec: str, api: str, path: list[str], outer: int, inner: int
) -> None:
    """A request of as many elements as it may have that turns out to be broken at its last byte, and arrays in arrays
    that have more of them together: what they take at their peak is what the limit of elements says.
    """
    request = request_class(ApiKey[api])
    version = request.versions.maximum
    file = tmp_path / "request"
    file.write_bytes(flood(request, version, path, inner, outer).encode(version)[:-1])
    setup = (
        "import os\n"
        f"os.environ['KPY_CODEC'] = '{codec}'\n"
        "from kpy.protocol.api_keys import ApiKey\n"
        "from kpy.protocol.errors import DecodeError\n"
        "from kpy.protocol.messages import request_class\n"
        f"request = request_class(ApiKey.{api})\n"
        "frame = open(sys.argv[1], 'rb').read()\n"
    )
    measured = (
        f"try: request.decode(frame, {version})\nexcept DecodeError: pass\nelse: raise SystemExit('it was read')\n"
    )

    assert peak_growth_bytes(setup, measured, str(file)) < REQUEST_BYTES_MAX

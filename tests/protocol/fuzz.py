"""Invariant: any bytes are read alike by both codecs, or are refused by both, with an error of our own and no other.

In full, for every target:

- A message in any version is read by the generated and by the interpreted codec as the same one, up to the same byte,
  or is a DecodeError to both. What was read is written by both as the same bytes, which are read as the same message.
- A whole request, with its header, is that too, at every API and version.
- Record batches are read, or are InvalidRecord or DecompressionError; what comes out of one is not more than allowed.
- A stream is divided into the same frames, and ends in the same FrameError, in whatever pieces it arrives.

`one_input` takes any bytes: as they are, or as orders how to damage a sound message, batch or stream.
`tests/protocol/test_fuzz.py` runs the targets in every `make test`, a little and always the same, and far in a soak.
With atheris installed, `python -m tests.protocol.fuzz [options of libFuzzer]` looks for inputs by coverage until it is
stopped; with files as arguments it runs those.
"""

import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from kpy.protocol import specialise
from kpy.protocol.compression import Codec, DecompressionError
from kpy.protocol.errors import DecodeError
from kpy.protocol.framing import FrameError, FrameReader
from kpy.protocol.layout import Decoder, Encoder, interpreted_decoder, interpreted_encoder
from kpy.protocol.messages.headers import RequestHeader
from kpy.protocol.records import (
    HEADER_BYTES,
    InvalidRecord,
    Record,
    RecordBatch,
    build_batch,
    control_type,
    read_batches,
    stamp_crc,
)
from kpy.protocol.schema import Data, Request, layout
from tests.protocol.declarations import DECLARATIONS, REQUESTS, every_version
from tests.protocol.hostile import flood
from tests.protocol.strategies import full_message

FRAME_BYTES_MAX = 100_000
RECORDS_BYTES_MAX = 100_000
EVERY_VERSION = list(every_version(DECLARATIONS))
EVERY_REQUEST = list(every_version(REQUESTS))


class Codecs(NamedTuple):
    """What reads and writes one version of a message: the reference, and what was generated from it."""

    decoders: tuple[Decoder, Decoder]
    encoders: tuple[Encoder, Encoder]


@cache
def codecs(declaration: type[Data], version: int) -> Codecs:
    tree = layout(declaration, version)
    return Codecs(
        (interpreted_decoder(tree), specialise.decoder(tree)), (interpreted_encoder(tree), specialise.encoder(tree))
    )


@cache
def sound_message(declaration: type[Data], version: int, *, bare: bool = False) -> bytes:
    """A message with all its fields, or one with null wherever that can be, and nothing in the rest."""
    if not bare:
        return full_message(declaration, version, unknown_tags=True, elements=1).encode(version)
    message = flood(declaration, version, [], 0)
    for declared, construct in layout(declaration, version).fields:
        if getattr(construct, "nullable", False):
            setattr(message, declared.name, None)
    encoded: bytes = message.encode(version)
    return encoded


@cache
def sound_request(request: type[Request], version: int) -> bytes:
    """With its header before it."""
    header_version = request.header_version(version)
    header = full_message(RequestHeader, header_version, unknown_tags=True)
    return header.encode(header_version) + sound_message(request, version)


@cache
def sound_batch(codec: int) -> bytes:
    records = [
        Record(b"key", b"value" * 20, (("name", b"x"), ("other", None)), 5),
        Record(None, None),
        Record(b"", b""),
    ]
    return bytes(build_batch(records, codec=codec, timestamp=7, producer_id=1, producer_epoch=0, base_sequence=0))


def damage(sound: bytes, orders: bytes) -> bytes:
    """`sound` as changed by orders of four bytes: what to do, where, and with what."""
    data = bytearray(sound)
    for index in range(0, len(orders) - 3, 4):
        kind, high, low, value = orders[index : index + 4]
        position = (high << 8 | low) % (len(data) + 1)
        match kind % 8:
            case 0:
                data[position : position + 1] = bytes((value,))
            case 1:  # the same varint in more bytes
                data[position : position + 1] = bytes(byte | 0x80 for byte in data[position : position + 1]) + b"\0"
            case 2:
                data[position:position] = bytes((value,))
            case 3:
                del data[position : position + 1 + value % 8]
            case 4:
                data[position : position + 1 + value % 6] = b"\xff" * (1 + value % 6)
            case 5:
                data[position : position + 4] = (1 << value % 32).to_bytes(4, "big")
            case 6:
                data[position:position] = data[position : position + value]
            case _:
                del data[position:]
    return bytes(data)


def check_message(declaration: type[Data], version: int, data: bytes, position: int = 0) -> None:
    """Both codecs on the message that begins there."""
    decoders, encoders = codecs(declaration, version)
    found = [_read(decode, data, position) for decode in decoders]
    assert [end for _, end in found] == [found[0][1]] * 2, f"{declaration.__name__} v{version}: {found}"
    if found[0][1] is None:
        return
    written = {b"".join(encode(message)) for message, _ in found for encode in encoders}
    assert len(written) == 1, f"{declaration.__name__} v{version}: {written}"
    (encoded,) = written
    for decode in decoders:
        message, end = decode(encoded, 0)
        assert end == len(encoded)
        assert b"".join(encoders[0](message)) == encoded
        assert same(message, found[0][0])
    assert same(found[0][0], found[1][0])


def same(one: Any, other: Any) -> bool:
    """Whether messages of the same bytes are equal; what is not a number never is."""
    return one == other or "nan" in repr(one)


def _read(decode: Decoder, data: bytes, position: int) -> tuple[Any, int | None]:
    try:
        return decode(data, position)
    except DecodeError:
        return None, None


def check_request(request: type[Request], version: int, data: bytes) -> None:
    """A header, and if it can be read, the request behind it."""
    check_message(RequestHeader, request.header_version(version), data)
    try:
        _, position = RequestHeader.decode_prefix(data, request.header_version(version))
    except DecodeError:
        return
    check_message(request, version, data, position)


def check_batches(data: bytes) -> None:
    """Batches that stand in these bytes, and the records in them."""
    try:
        for batch in read_batches(data):
            check_records(batch)
    except InvalidRecord:
        pass


def check_records(batch: RecordBatch) -> None:
    size = 0
    try:
        for record in batch.records(RECORDS_BYTES_MAX):
            size += len(record.key or b"") + len(record.value or b"")
            size += sum(len(value or b"") for _, value in record.headers)
            if batch.header.is_control:
                control_type(record)
    except (InvalidRecord, DecompressionError):
        pass
    assert size <= max(RECORDS_BYTES_MAX, len(batch.buffer))


def check_frames(data: bytes, cuts: bytes) -> None:
    """The stream at once, a byte at a time, and in pieces."""
    pieces = []
    position = 0
    for cut in cuts:
        pieces.append(data[position : position + cut])
        position += cut
    ways = [[data], [data[index : index + 1] for index in range(len(data))], [*pieces, data[position:]]]
    first, *others = (_divide(way) for way in ways)
    for other in others:
        assert other == first, f"{data!r} in pieces: {other}, at once: {first}"


def _divide(pieces: list[bytes]) -> tuple[list[bytes], type[FrameError] | None]:
    reader = FrameReader(FRAME_BYTES_MAX)
    frames: list[bytes] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            for frame in reader:
                frames.append(bytes(frame))  # noqa: PERF401  # the frames before an error count
    except FrameError as error:
        return frames, type(error)
    return frames, None


def fuzz_message(choice: int, sound: bool, data: bytes) -> None:
    declaration, version = EVERY_VERSION[choice % len(EVERY_VERSION)]
    bare = bool(choice // len(EVERY_VERSION) % 2)
    check_message(declaration, version, damage(sound_message(declaration, version, bare=bare), data) if sound else data)


def fuzz_request(choice: int, sound: bool, data: bytes) -> None:
    request, version = EVERY_REQUEST[choice % len(EVERY_REQUEST)]
    check_request(request, version, damage(sound_request(request, version), data) if sound else data)


def fuzz_records(choice: int, sound: bool, data: bytes) -> None:
    """A damaged batch, or a sound header before arbitrary records; the checksum and the length are right in both."""
    codec = choice % (max(Codec) + 1)
    whole = sound_batch(codec)
    changed = bytearray(damage(whole, data) if sound else whole[:HEADER_BYTES] + data)
    check_batches(bytes(changed))
    if len(changed) < HEADER_BYTES:
        return
    changed[8:12] = (len(changed) - 12).to_bytes(4, "big")
    stamp_crc(changed)
    check_batches(bytes(changed))
    check_records(RecordBatch(changed))


def fuzz_frames(choice: int, sound: bool, data: bytes) -> None:
    stream = data
    if sound:
        whole = b"".join(
            len(frame).to_bytes(4, "big") + frame for frame in (b"", b"frame", bytes(choice % 999), b"end")
        )
        stream = damage(whole, data)
    check_frames(stream, data)


TARGETS: list[Callable[[int, bool, bytes], None]] = [fuzz_message, fuzz_request, fuzz_records, fuzz_frames]


def one_input(data: bytes) -> None:
    """The first byte chooses the target and whether it is given something sound to damage, the next two what."""
    head = data[:3].ljust(3, b"\0")
    TARGETS[head[0] % len(TARGETS)](int.from_bytes(head[1:], "big"), bool(head[0] & 0x80), data[3:])


def main() -> None:
    try:
        import atheris  # noqa: PLC0415  # an optional tool
    except ImportError:
        sys.exit("atheris is not installed: pip install atheris (Linux and macOS)")
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

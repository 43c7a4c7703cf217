"""Compression of record batches by codec id, as Kafka's `CompressionType` numbers them.

Decompression is bounded in what it allocates, whatever the input claims: one buffer of at most `max_bytes`, and for
zstd the window that a frame asks for, 128 MiB at most as in Kafka, of which no more is touched than is written. What
would be larger is refused with `DecompressedTooLarge`. Input that is not what its codec id says raises
`DecompressionError`. Concatenated frames are read as one, and snappy is read both raw and in the xerial framing that
Kafka's own clients write.

The compression package is imported when the first compressed batch arrives: a broker that never sees one starts
without it.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from kpy.protocol.crc import Buffer

DECOMPRESSED_BYTES_MAX: Final = 64 * 1024 * 1024
_SCRATCH_BYTES_MIN: Final = 64 * 1024
_SCRATCH_BYTES_KEPT: Final = 4 * 1024 * 1024

_XERIAL_HEADER: Final = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
_XERIAL_MAGIC: Final = _XERIAL_HEADER[:8]
_XERIAL_BLOCK_BYTES: Final = 32 * 1024

_LZ4_PIECE_BYTES: Final = 64 * 1024
"""What is compressed in one call: unlike the other codecs' this one keeps every other thread waiting."""
_LZ4_MAGIC: Final = b"\x04\x22\x4d\x18"
_LZ4_BLOCKS_INDEPENDENT: Final = 0x20


class Codec(IntEnum):
    """The codec id in the low three bits of a batch's attributes."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


class DecompressionError(ValueError):
    """The data is not a complete stream of its codec."""


class DecompressedTooLarge(DecompressionError):
    """The data would decompress to more than the limit."""


class Decompressor:
    """Decompresses into one buffer that it keeps, so that a batch costs no allocation.

    What `decompress` returns is valid until the next call.
    """

    __slots__ = ("_scratch",)

    def __init__(self) -> None:
        self._scratch = bytearray()

    def decompress(self, codec: int, data: Buffer, max_bytes: int = DECOMPRESSED_BYTES_MAX) -> memoryview:
        """The decompressed bytes of `data`."""
        if codec == Codec.NONE:
            return memoryview(data)
        buffer, size = self.decompress_into_buffer(codec, data, max_bytes)
        return memoryview(buffer)[:size]

    def decompress_into_buffer(self, codec: int, data: Buffer, max_bytes: int) -> tuple[bytearray, int]:
        """The buffer with the decompressed bytes of `data`, and how many they are."""
        read = _READERS.get(codec)
        if read is None:
            raise DecompressionError(f"there is no codec {codec}")
        room = min(max(len(self._scratch), _SCRATCH_BYTES_MIN), max_bytes)
        while True:
            buffer = self._buffer(room)
            try:
                return buffer, read(data, memoryview(buffer)[:room])
            except _OutputFull as full:
                if room >= max_bytes or full.size_needed > max_bytes:
                    message = f"{len(data)} bytes decompress to more than {max_bytes}"
                    raise DecompressedTooLarge(message) from None
                room = min(max_bytes, max(4 * room, full.size_needed))
                del buffer  # before the next one is allocated

    def _buffer(self, room: int) -> bytearray:
        """At least that large: the one that is kept, or one instead of it."""
        if len(self._scratch) >= room:
            return self._scratch
        if room > _SCRATCH_BYTES_KEPT:
            return bytearray(room)
        self._scratch = bytearray()
        self._scratch = bytearray(room)
        return self._scratch


def decompress(codec: int, data: Buffer, max_bytes: int = DECOMPRESSED_BYTES_MAX) -> bytearray:
    """The decompressed bytes of `data`, in memory of their own."""
    if codec == Codec.NONE:
        return bytearray(data)
    buffer, size = Decompressor().decompress_into_buffer(codec, data, max_bytes)
    del buffer[size:]
    return buffer


def compress(codec: int, data: Buffer, level: int | None = None) -> bytes:
    """`data` as one stream of that codec, in the form that Kafka's own clients write; `level` None is its default."""
    import cramjam  # noqa: PLC0415 - see the module's docstring

    if codec == Codec.NONE:
        return bytes(data)
    if codec == Codec.GZIP:
        return bytes(cramjam.gzip.compress(data, level=6 if level is None or level < 0 else level))
    if codec == Codec.SNAPPY:
        return _compress_xerial(cramjam, data)
    if codec == Codec.LZ4:
        # Java's reader refuses blocks that depend on each other (Lz4BlockInputStream).
        compressor = cramjam.lz4.Compressor(level=level or 0, content_checksum=False, block_linked=False)
        view = memoryview(data)
        for start in range(0, len(view), _LZ4_PIECE_BYTES):
            compressor.compress(bytes(view[start : start + _LZ4_PIECE_BYTES]))
        return bytes(compressor.finish())
    if codec == Codec.ZSTD:
        return bytes(cramjam.zstd.compress(data, level=3 if level is None else level))
    raise ValueError(f"there is no codec {codec}")


def _compress_xerial(cramjam: Any, data: Buffer) -> bytes:
    view = memoryview(data)
    parts = [_XERIAL_HEADER]
    for start in range(0, len(view), _XERIAL_BLOCK_BYTES):
        block = bytes(cramjam.snappy.compress_raw(view[start : start + _XERIAL_BLOCK_BYTES]))
        parts += (len(block).to_bytes(4, "big"), block)
    return b"".join(parts)


class _OutputFull(Exception):
    """The target is too small; `size_needed` is the size it takes, or 0 if that is not known."""

    def __init__(self, size_needed: int = 0) -> None:
        super().__init__(size_needed)
        self.size_needed = size_needed


def _read_gzip(data: Buffer, target: Buffer) -> int:
    import cramjam  # noqa: PLC0415

    return _read_into(cramjam.gzip.decompress_into, cramjam.DecompressionError, data, target)


def _read_zstd(data: Buffer, target: Buffer) -> int:
    import cramjam  # noqa: PLC0415

    return _read_into(cramjam.zstd.decompress_into, cramjam.DecompressionError, data, target)


def _read_lz4(data: Buffer, target: Buffer) -> int:
    import cramjam  # noqa: PLC0415

    if len(data) < 5 or bytes(data[:4]) != _LZ4_MAGIC:
        raise DecompressionError("this is not an lz4 frame")
    if not data[4] & _LZ4_BLOCKS_INDEPENDENT:
        raise DecompressionError("the lz4 frame has blocks that depend on each other")
    return _read_into(cramjam.lz4.decompress_into, cramjam.DecompressionError, data, target)


def _read_into(decompress_into: Any, failure: type[Exception], data: Buffer, target: Buffer) -> int:
    try:
        size: int = decompress_into(data, target)
    except failure as error:
        # The one message by which the package tells a full target from bad input.
        if "failed to write whole buffer" in str(error):
            raise _OutputFull from None
        raise DecompressionError(str(error)) from None
    return size


def _read_snappy(data: Buffer, target: Buffer) -> int:
    import cramjam  # noqa: PLC0415

    view = memoryview(data)
    if not view:
        raise DecompressionError("there is no snappy stream")
    if bytes(view[:8]) != _XERIAL_MAGIC:
        return _read_snappy_block(cramjam, view, memoryview(target))
    position = len(_XERIAL_HEADER)
    if len(view) < position:
        raise DecompressionError("the head of a snappy stream is cut")
    room = memoryview(target)
    written = 0
    while position < len(view):
        if bytes(view[position : position + 8]) == _XERIAL_MAGIC:  # a second stream behind the first
            position += len(_XERIAL_HEADER)
            continue
        size = int.from_bytes(view[position : position + 4], "big")
        position += 4
        if size == 0 or position + size > len(view):
            raise DecompressionError("a snappy block is longer than what is left")
        try:
            written += _read_snappy_block(cramjam, view[position : position + size], room[written:])
        except _OutputFull as full:
            raise _OutputFull(written + full.size_needed) from None
        position += size
    return written


def _read_snappy_block(cramjam: Any, block: memoryview, target: memoryview) -> int:
    try:
        size: int = cramjam.snappy.decompress_raw_len(block)
        if size > 64 * len(block):
            raise DecompressionError(f"a snappy block of {len(block)} bytes cannot hold {size}")
        if size > len(target):
            raise _OutputFull(size)
        return int(cramjam.snappy.decompress_raw_into(block, target))
    except cramjam.DecompressionError as error:
        raise DecompressionError(str(error)) from None


_READERS: Final[dict[int, Callable[[Buffer, Buffer], int]]] = {
    Codec.GZIP: _read_gzip,
    Codec.SNAPPY: _read_snappy,
    Codec.LZ4: _read_lz4,
    Codec.ZSTD: _read_zstd,
}

"""What decompression takes at its peak, in a process of its own, on input that is made to take more."""

import contextlib
import gzip
from collections.abc import Callable
from pathlib import Path

import cramjam
import lz4.frame
import pytest

from kpy.protocol.compression import Codec, compress
from kpy.protocol.records import build_batch
from tests.memory import peak_growth_bytes

MIB = 1 << 20
LIMIT = 16 * MIB
KEPT = 4 * MIB
"""The buffer that a decompressor keeps may be there beside the large one."""
SLACK = 6 * MIB
"""The tables of a codec, a block of its output, the input, Python's own."""
BOMB = 256 * MIB
XERIAL_HEAD = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
ZSTD_HEAD = b"\x28\xb5\x2f\xfd"


def xerial(*blocks: bytes) -> bytes:
    return XERIAL_HEAD + b"".join(len(block).to_bytes(4, "big") + block for block in blocks)


def snappy_claim(size: int) -> bytes:
    """A raw snappy block that claims so many bytes and has few."""
    claim = bytearray()
    while size > 0x7F:
        claim.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(claim) + bytes((size, 0)) + b"x"


def gzip_with_large_names(size: int) -> bytes:
    """A member whose header has a name of that size."""
    plain = gzip.compress(bytes(1000))
    return plain[:3] + b"\x08" + plain[4:10] + b"n" * size + b"\0" + plain[10:]


def zstd_blocks(window_log: int, count: int) -> bytes:
    """A frame of so many blocks of 128 KiB, each a single byte repeated."""
    head = ZSTD_HEAD + bytes((0, (window_log - 10) << 3))
    blocks = [(128 << 10 << 3 | 2 | (index == count - 1)).to_bytes(3, "little") + b"z" for index in range(count)]
    return head + b"".join(blocks)


def zstd_claim(size: int) -> bytes:
    """A frame whose header claims so many bytes in a single segment, and that holds three."""
    return ZSTD_HEAD + b"\xe0" + size.to_bytes(8, "little") + (3 << 3 | 1).to_bytes(3, "little") + b"abc"


def lz4_claim(size: int) -> bytes:
    """A frame whose header claims a content size. One of its bytes is a checksum: the right one is looked for."""
    plain = compress(Codec.LZ4, bytes(100))
    head = plain[:4] + bytes((plain[4] | 0x08, plain[5])) + size.to_bytes(8, "little")
    for checksum in range(256):
        frame = head + bytes((checksum,)) + plain[7:]
        with contextlib.suppress(RuntimeError):
            assert lz4.frame.get_frame_info(frame)["content_size"] == size
            return frame
    raise AssertionError("no checksum is right")


def snappy_zeros(size: int) -> bytes:
    return bytes(cramjam.snappy.compress_raw(bytes(size)))


BOMBS: dict[str, tuple[Codec, Callable[[], bytes]]] = {
    "gzip": (Codec.GZIP, lambda: compress(Codec.GZIP, bytes(BOMB), level=1)),
    "gzip members": (Codec.GZIP, lambda: compress(Codec.GZIP, bytes(8 * MIB)) * (BOMB // (8 * MIB))),
    "gzip names": (Codec.GZIP, lambda: gzip_with_large_names(2 * MIB)),
    "snappy": (Codec.SNAPPY, lambda: snappy_zeros(BOMB)),
    "snappy claim": (Codec.SNAPPY, lambda: snappy_claim((1 << 32) - 1)),
    "snappy claim within the limit": (Codec.SNAPPY, lambda: snappy_claim(LIMIT - 1)),
    "xerial blocks": (Codec.SNAPPY, lambda: xerial(*[snappy_zeros(32 << 10)] * (BOMB // (32 << 10)))),
    "large xerial blocks": (Codec.SNAPPY, lambda: xerial(*[snappy_zeros(8 * MIB)] * 32)),
    "last xerial block": (Codec.SNAPPY, lambda: xerial(snappy_zeros(1000), snappy_zeros(BOMB))),
    "xerial claim": (Codec.SNAPPY, lambda: xerial(snappy_zeros(1000), snappy_claim((1 << 32) - 1))),
    "xerial streams": (Codec.SNAPPY, lambda: xerial(snappy_zeros(8 * MIB)) * 32),
    "lz4": (Codec.LZ4, lambda: compress(Codec.LZ4, bytes(BOMB))),
    "lz4 frames": (Codec.LZ4, lambda: compress(Codec.LZ4, bytes(8 * MIB)) * (BOMB // (8 * MIB))),
    "lz4 claim": (Codec.LZ4, lambda: lz4_claim(1 << 60)),
    "zstd": (Codec.ZSTD, lambda: compress(Codec.ZSTD, bytes(BOMB))),
    "zstd frames": (Codec.ZSTD, lambda: compress(Codec.ZSTD, bytes(8 * MIB)) * (BOMB // (8 * MIB))),
    "zstd claim": (Codec.ZSTD, lambda: zstd_claim(1 << 60)),
    "zstd claim of the largest window": (Codec.ZSTD, lambda: zstd_claim(128 * MIB)),
    "zstd window": (Codec.ZSTD, lambda: zstd_blocks(27, BOMB // (128 << 10))),
    "zstd window too large": (Codec.ZSTD, lambda: zstd_blocks(31, BOMB // (128 << 10))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_peak(tmp_path: Path, name: str) -> None:
    """Input that would become, or claims to become, much more than the limit takes no more than the limit, and for zstd
    as much again for its window; it is refused, whether it is read into a kept buffer or as a batch.
    """
    codec, make = BOMBS[name]
    path = tmp_path / "bomb"
    path.write_bytes(make())
    setup = (
        "from kpy.protocol.compression import DecompressionError, Decompressor, compress, decompress\n"
        "from kpy.protocol.records import HEADER_BYTES, RecordBatch, build_batch\n"
        f"codec, limit, bomb = {int(codec)}, {LIMIT}, open(sys.argv[1], 'rb').read()\n"
        "batch = RecordBatch(build_batch([(b'k', b'v')], codec=codec)[:HEADER_BYTES] + bomb)\n"
        "decompress(codec, compress(codec, b'warm'))"
    )
    measured = (
        "def refused(read):\n"
        "    try: read()\n"
        "    except DecompressionError: return\n"
        "    raise SystemExit('it was read')\n"
        "decompressor = Decompressor()\n"
        "refused(lambda: decompressor.decompress(codec, bomb, limit))\n"
        "refused(lambda: decompressor.decompress(codec, bomb, limit))\n"
        "refused(lambda: next(batch.records(limit)))\n"
    )
    window = LIMIT if codec is Codec.ZSTD else 0

    assert peak_growth_bytes(setup, measured, str(path)) < LIMIT + window + KEPT + SLACK


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_peak_of_what_is_read(tmp_path: Path, codec: Codec) -> None:
    """A batch that is nearly as large as the limit is read in that much memory, not in twice as much."""
    path = tmp_path / "batch"
    path.write_bytes(build_batch([(None, bytes(65_000))] * 240, codec=codec))
    setup = (
        "from kpy.protocol.compression import compress, decompress\n"
        "from kpy.protocol.records import RecordBatch\n"
        f"decompress({codec}, compress({codec}, b'warm'))\n"
        "batch = RecordBatch(open(sys.argv[1], 'rb').read())\n"
    )
    measured = f"assert sum(len(record.value) for record in batch.records({LIMIT})) == 240 * 65_000"
    window = LIMIT if codec is Codec.ZSTD else 0

    assert peak_growth_bytes(setup, measured, str(path)) < LIMIT + window + KEPT + SLACK

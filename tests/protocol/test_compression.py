import contextlib
import gzip
import random
import struct

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode

from kpy.protocol.compression import (
    Codec,
    DecompressedTooLarge,
    DecompressionError,
    Decompressor,
    compress,
    decompress,
)
from tests.sweeps import examples

CODECS = [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD]
SENDERS = {Codec.GZIP: gzip_encode, Codec.SNAPPY: snappy_encode, Codec.LZ4: lz4_encode, Codec.ZSTD: zstd_encode}


@pytest.mark.parametrize("codec", [Codec.NONE, *CODECS])
@pytest.mark.parametrize("size", [0, 1, 1000, 70_000, 5_000_000])
def test_round_trip(codec: Codec, size: int) -> None:
    """What is compressed comes back, larger than any buffer that is kept, too."""
    data = (b"what is compressed " * (size // 19 + 1))[:size]
    assert decompress(codec, compress(codec, data)) == data


@pytest.mark.parametrize("codec", CODECS)
def test_what_a_client_sends(codec: Codec) -> None:
    """What kafka-python compresses is read, from any buffer."""
    data = b"kafka-python " * 10_000
    sent = b"before" + SENDERS[codec](data)
    assert decompress(codec, memoryview(bytearray(sent))[6:]) == data


@pytest.mark.parametrize("codec", CODECS)
def test_concatenated(codec: Codec) -> None:
    """Streams that follow each other are read as one."""
    assert decompress(codec, compress(codec, b"first") + compress(codec, b"second")) == b"firstsecond"


def test_raw_snappy() -> None:
    """Snappy without the xerial framing is read as Kafka reads it."""
    assert decompress(Codec.SNAPPY, b"\x03\x08abc") == b"abc"


@pytest.mark.parametrize("codec", CODECS)
def test_bomb(codec: Codec) -> None:
    """Data that would decompress beyond the limit is refused; up to the limit it is not."""
    bomb = compress(codec, bytes(3_000_000))
    with pytest.raises(DecompressedTooLarge):
        decompress(codec, bomb, 2_999_999)
    assert len(decompress(codec, bomb, 3_000_000)) == 3_000_000


def test_snappy_claim() -> None:
    """A snappy block that claims more than it can hold allocates nothing."""
    with pytest.raises(DecompressionError):
        decompress(Codec.SNAPPY, b"\xff\xff\xff\x1f" + b"\xf4\x00\x00a")


@pytest.mark.parametrize("codec", CODECS)
def test_every_truncation(codec: Codec) -> None:
    """A stream that was cut anywhere is an error."""
    whole = compress(codec, b"abcdefgh" * 20)
    for size in range(len(whole)):
        if codec is Codec.SNAPPY and size == 16:
            continue  # the head of a xerial stream alone is an empty one
        with pytest.raises(DecompressionError):
            decompress(codec, whole[:size])


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=examples(30))
@given(data=st.binary(max_size=200))
def test_garbage(codec: Codec, data: bytes) -> None:
    """Bytes that are no stream of the codec are an error, or are read; nothing else comes out."""
    with contextlib.suppress(DecompressionError):
        decompress(codec, data, 100_000)


def test_another_codec() -> None:
    """Data of one codec is not read as another's, and unknown ids are refused."""
    for codec in (Codec.SNAPPY, Codec.LZ4, Codec.ZSTD):
        with pytest.raises(DecompressionError):
            decompress(codec, gzip.compress(b"plain"))
    with pytest.raises(DecompressionError):
        decompress(5, b"plain")


def test_linked_lz4_blocks() -> None:
    """An lz4 frame whose blocks depend on each other is refused, as Java clients could not read it."""
    frame = bytearray(compress(Codec.LZ4, b"abc"))
    assert frame[4] & 0x20
    frame[4] &= ~0x20
    with pytest.raises(DecompressionError, match="depend"):
        decompress(Codec.LZ4, frame)


def test_xerial_blocks() -> None:
    """Snappy is written in xerial's framing, with blocks of 32 KiB at most."""
    data = bytes(range(256)) * 300
    stream = compress(Codec.SNAPPY, data)
    assert stream.startswith(b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1))
    sizes = []
    position = 16
    while position < len(stream):
        (size,) = struct.unpack_from(">i", stream, position)
        sizes.append(len(decompress(Codec.SNAPPY, stream[position + 4 : position + 4 + size])))
        position += 4 + size
    assert sizes == [32768, 32768, 11264]


def test_scratch_is_kept() -> None:
    """A decompressor uses one buffer again, so that what it returns is valid until the next call only."""
    decompressor = Decompressor()
    first = decompressor.decompress(Codec.ZSTD, compress(Codec.ZSTD, b"first"))
    assert bytes(first) == b"first"
    second = decompressor.decompress(Codec.GZIP, compress(Codec.GZIP, b"other"))
    assert (bytes(first), bytes(second)) == (b"other", b"other")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 300_000])
def test_lz4_in_pieces_is_one_frame(size: int) -> None:
    """It is compressed a piece at a time, so that other threads run in between; nobody can tell."""
    data = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)
    compressor = cramjam.lz4.Compressor(level=9, content_checksum=False, block_linked=False)
    compressor.compress(data)

    assert compress(Codec.LZ4, data, 9) == bytes(compressor.finish())
    assert decompress(Codec.LZ4, compress(Codec.LZ4, data, 9)) == data

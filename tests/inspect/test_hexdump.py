"""Hex as it is copied from everywhere."""

import pytest

from kpy.inspect.hexdump import parse_hex
from kpy.inspect.source import InputError

DATA = bytes(range(40, 74))

BARE = DATA.hex()
XXD = """\
00000000: 2829 2a2b 2c2d 2e2f 3031 3233 3435 3637  ()*+,-./01234567
00000010: 3839 3a3b 3c3d 3e3f 4041 4243 4445 4647  89:;<=>?@ABCDEFG
00000020: 4849                                     HI
"""
HEXDUMP = """\
00000000  28 29 2a 2b 2c 2d 2e 2f  30 31 32 33 34 35 36 37  |()*+,-./01234567|
00000010  38 39 3a 3b 3c 3d 3e 3f  40 41 42 43 44 45 46 47  |89:;<=>?@ABCDEFG|
00000020  48 49                                             |HI|
00000022
"""
TCPDUMP = """\
\t0x0000:  2829 2a2b 2c2d 2e2f 3031 3233 3435 3637  ()*+,-./01234567
\t0x0010:  3839 3a3b 3c3d 3e3f 4041 4243 4445 4647  89:;<=>?@ABCDEFG
\t0x0020:  4849                                     HI
"""
WIRESHARK = """\
0000   28 29 2a 2b 2c 2d 2e 2f 30 31 32 33 34 35 36 37   ()*+,-./01234567
0010   38 39 3a 3b 3c 3d 3e 3f 40 41 42 43 44 45 46 47   89:;<=>?@ABCDEFG
0020   48 49                                             HI
"""
SPACED = "# a comment\n\n" + " ".join(f"0x{byte:02x}," for byte in DATA)
ESCAPED = "".join(f"\\x{byte:02x}" for byte in DATA)


@pytest.mark.parametrize("text", [BARE, BARE.upper(), XXD, HEXDUMP, TCPDUMP, WIRESHARK, SPACED, ESCAPED])
def test_forms(text: str) -> None:
    """The bytes are the same, whoever printed them."""
    assert parse_hex(text.encode()) == DATA


def test_two_dumps() -> None:
    """An offset of zero begins another dump."""
    assert parse_hex((XXD + XXD).encode()) == DATA + DATA


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("00 01\n0g", "line 2 is not hex"),
        ("000", "line 1 is not hex"),
        (XXD.splitlines()[0] + "\n00000020: 48", "line 2 is for offset 32, and 16 bytes"),
        (HEXDUMP.splitlines()[0] + "\n*\n00000020  48 49", "line 2: a \\* leaves repeated lines out"),
    ],
)
def test_mistakes(text: str, reason: str) -> None:
    """The line is named."""
    with pytest.raises(InputError, match=reason):
        parse_hex(text.encode())

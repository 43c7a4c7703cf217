"""Hex as people copy it: bare digits, or the output of xxd, hexdump -C, tcpdump -x and Wireshark.

Offsets in front of a line are checked, so that a dump that leaves lines out is refused and not misread; an offset of
zero begins another dump, whose bytes follow those of the one before. Columns of text behind the bytes are ignored, as
are empty lines and those that begin with `#`.
"""

import re
from typing import Final

from kpy.inspect.source import InputError

TEXT_BYTES_MAX: Final = 64 * 1024 * 1024

_OFFSET_AND_COLON = re.compile(r"(?:0x)?([0-9a-fA-F]{4,16}):(?:\s+|$)")
_OFFSET_IN_COLUMN = re.compile(r"([0-9a-fA-F]{4,16})(?:\s{2,}|$)")
_BETWEEN_BYTES = re.compile(r"0x|\\x|[\s,:;]")
_MISTAKE_SHOWN = 40


def parse_hex(text: bytes) -> bytes:
    """The bytes that the text shows."""
    out = bytearray()
    start = 0
    lines = text.decode(errors="replace").splitlines()
    in_columns = _has_columns(lines)
    for number, line in enumerate(lines, start=1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        if content == "*":
            raise InputError(f"line {number}: a * leaves repeated lines out (hexdump -v shows them)")
        offset, digits = _split(content, in_columns)
        if offset == 0:
            start = len(out)
        elif offset is not None and offset != len(out) - start:
            raise InputError(f"line {number} is for offset {offset}, and {len(out) - start} bytes come before it")
        try:
            out += bytes.fromhex(_BETWEEN_BYTES.sub("", digits))
        except ValueError:
            shown = digits[:_MISTAKE_SHOWN]
            raise InputError(f"line {number} is not hex, two digits a byte: {shown!r}") from None
    return bytes(out)


def _has_columns(lines: list[str]) -> bool:
    """Whether the first line begins with an offset that no colon marks: zero, and a wide space behind it."""
    first = next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")
    found = _OFFSET_IN_COLUMN.match(first)
    return found is not None and found.end() < len(first) and int(found[1], 16) == 0


def _split(content: str, in_columns: bool) -> tuple[int | None, str]:
    """The offset, if the line has one, and the part of it that shows bytes."""
    if found := _OFFSET_AND_COLON.match(content):
        return int(found[1], 16), re.split(r"\s{2,}", content[found.end() :])[0]  # xxd, tcpdump
    if in_columns and (found := _OFFSET_IN_COLUMN.match(content)):
        return int(found[1], 16), re.split(r"\||\s{3,}", content[found.end() :])[0]  # hexdump -C, Wireshark
    return None, content

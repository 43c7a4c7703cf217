"""`kpy decode`: a recorded conversation in, a JSON object for every request and its reply out.

What can be decoded is printed before what is wrong with the rest of the file is said.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Final

from kpy.cli import fail
from kpy.cli.json_lines import json_line
from kpy.inspect.capture import Capture
from kpy.inspect.exchange import Item
from kpy.inspect.frames import read_frames
from kpy.inspect.hexdump import TEXT_BYTES_MAX, parse_hex
from kpy.inspect.pcap import is_capture
from kpy.inspect.rendering import render
from kpy.inspect.source import InputError, Source

LOOKED_AT_BYTES: Final = 1024
GZIP_MAGIC: Final = b"\x1f\x8b\x08"
DEFAULT_PORT: Final = 9092


def decode(options: Namespace) -> int:
    """Explain a file; returns the exit status."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    name = "standard input" if options.file == "-" else options.file
    try:
        if options.file == "-":
            _print_all(sys.stdin.buffer, options)
        else:
            with Path(options.file).open("rb") as stream:
                _print_all(stream, options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain when it flushes at the end.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return fail(f"{name}: {error.strerror}")
    except InputError as error:
        sys.stdout.flush()
        return fail(f"{name}: {error}")
    return 0


def _print_all(stream: BinaryIO, options: Namespace) -> None:
    for item in _items(Source(stream), options.format, options.ports or [DEFAULT_PORT]):
        print(json_line(render(item), pretty=options.pretty))


def _items(source: Source, kind: str, ports: list[int]) -> Iterator[Item]:
    if kind == "auto":
        kind = _kind(source.peek(LOOKED_AT_BYTES))
    if kind == "hex":
        text = source.take(TEXT_BYTES_MAX + 1)
        if len(text) > TEXT_BYTES_MAX:
            raise InputError(f"more than {TEXT_BYTES_MAX} bytes of hex: make a file of frames of it (xxd -r -p)")
        source = Source(BytesIO(parse_hex(text)))
        kind = _kind(source.peek(LOOKED_AT_BYTES))
        kind = "frames" if kind == "hex" else kind
    if not source.peek(1):
        raise InputError("there is nothing in it")
    return Capture(ports).read(source) if kind == "pcap" else read_frames(source)


def _kind(start: bytes) -> str:
    if is_capture(start):
        return "pcap"
    if start.startswith(GZIP_MAGIC):
        raise InputError("compressed with gzip: decompress it first (gzip -dc FILE | kpy decode -)")
    # No frame begins with text: it would be one of 500 MB or more.
    return "hex" if start and all(byte in b"\t\n\r" or 0x20 <= byte < 0x7F for byte in start[:4]) else "frames"

"""CRC-32C over any buffer, without a copy: the checksum of record batches (format 2) and of producer snapshots.

The values are those of Java's `CRC32C` and of RFC 3720.
"""

from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview


def _load() -> Callable[[Buffer, int], int]:
    """The function of the C extension, without running the package around it where that can be avoided.

    The package looks up its own version and has a command line: `importlib.metadata`, `email`, `zipfile` and
    `argparse` would be a tenth of the time in which a broker starts, and 2 MiB of its memory.
    """
    package = find_spec("crc32c")
    extension = package and PathFinder.find_spec("crc32c._crc32c", package.submodule_search_locations)
    if extension and extension.loader:
        module = module_from_spec(extension)
        extension.loader.exec_module(module)
    else:
        import crc32c as module  # noqa: PLC0415 - only where the extension is not where it used to be
    function: Callable[[Buffer, int], int] = module.crc32c
    return function


_crc32c = _load()


def crc32c(data: Buffer, value: int = 0) -> int:
    """The checksum of `data`; `value` continues that of the bytes before it."""
    return _crc32c(data, value)

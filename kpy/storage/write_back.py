"""Having the kernel begin to write a file, without waiting for it: whoever syncs many files does that with all first.

A sync waits for a commit of the file system's journal where it has to find places for what was written. Once all files
of some logs have theirs, one commit does for most of them. Only Linux has the call, and nothing but time depends on it:
`os` does not have it, and POSIX_FADV_DONTNEED, which does the same, also drops pages that readers want.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Final

_SYNC_FILE_RANGE_WRITE: Final = 2
_TO_THE_END: Final = 0


def begin_writing(descriptor: int) -> None:
    """Begin to write all of the file that was not written yet. What fails is found by the sync."""
    call = _sync_file_range()
    if call is not None:
        call(descriptor, 0, _TO_THE_END, _SYNC_FILE_RANGE_WRITE)


@cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    call.restype = ctypes.c_int
    return call

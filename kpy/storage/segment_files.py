"""The files of a segment: how they are called."""

from typing import Final

from kpy.storage.files import Files

LOG_SUFFIX: Final = ".log"
OFFSET_INDEX_SUFFIX: Final = ".index"
TIME_INDEX_SUFFIX: Final = ".timeindex"
TRANSACTION_INDEX_SUFFIX: Final = ".txnindex"
INDEX_SUFFIXES: Final = (OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX)


def file_name(offset: int, suffix: str) -> str:
    """The name of a segment's or a snapshot's file: the offset in 20 digits."""
    return f"{offset:020d}{suffix}"


def remove_segment(files: Files, directory: str, base_offset: int) -> None:
    """Remove the files that are there."""
    for suffix in (LOG_SUFFIX, *INDEX_SUFFIXES):
        files.remove(f"{directory}/{file_name(base_offset, suffix)}")

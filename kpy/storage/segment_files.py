"""The files of a segment: how they are called, and how they go."""

from typing import Final

from kpy.storage.files import Files
from kpy.storage.log_context import DELETED_SUFFIX

LOG_SUFFIX: Final = ".log"
OFFSET_INDEX_SUFFIX: Final = ".index"
TIME_INDEX_SUFFIX: Final = ".timeindex"
TRANSACTION_INDEX_SUFFIX: Final = ".txnindex"
INDEX_SUFFIXES: Final = (OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX)


def file_name(offset: int, suffix: str) -> str:
    """The name of a segment's or a snapshot's file: the offset in 20 digits."""
    return f"{offset:020d}{suffix}"


def retire_segment(files: Files, directory: str, base_offset: int) -> list[str]:
    """Rename the files, so that no start takes them for a segment; returns what they are called now."""
    deleted = []
    for path in _paths(directory, base_offset):
        if files.exists(path):
            files.rename(path, path + DELETED_SUFFIX)
            deleted.append(path + DELETED_SUFFIX)
    return deleted


def remove_segment(files: Files, directory: str, base_offset: int) -> None:
    """Remove the files that are there."""
    for path in _paths(directory, base_offset):
        files.remove(path)


def _paths(directory: str, base_offset: int) -> list[str]:
    return [f"{directory}/{file_name(base_offset, suffix)}" for suffix in (LOG_SUFFIX, *INDEX_SUFFIXES)]

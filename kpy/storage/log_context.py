"""What whoever runs the logs of a directory does for them: deleted files are removed later, and chance is drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from kpy.storage.files import Files

DELETED_SUFFIX = ".deleted"

RemoveLater: TypeAlias = Callable[[Sequence[str], int], None]
"""Of files in a log's directory, or of directories, that have their last name, and after how many milliseconds."""


def sync_last_names(files: Files, paths: Sequence[str]) -> None:
    """Before these are removed: no directory is to come back under its first name with some of its files gone."""
    if any("/" not in path for path in paths):
        files.sync_directory()


def remove_file_or_directory(files: Files, path: str) -> None:
    """Remove a file of a log, or a log's whole directory, if it is there."""
    if "/" in path:
        files.remove(path)
    else:
        files.remove_directory(path)


@dataclass(slots=True)
class LogContext:
    """Without an owner, files go at once and no segment is rolled early by chance."""

    remove_later: RemoveLater
    random_source: Random | None = None

    @classmethod
    def without_owner(cls, files: Files) -> "LogContext":
        def remove_now(paths: Sequence[str], _delay_ms: int) -> None:
            sync_last_names(files, paths)
            for path in paths:
                remove_file_or_directory(files, path)

        return cls(remove_now)

    def jitter_ms(self, at_most_ms: int) -> int:
        """How much earlier a segment is rolled (segment.jitter.ms)."""
        return self.random_source.randrange(at_most_ms) if self.random_source and at_most_ms > 0 else 0

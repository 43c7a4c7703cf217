"""What the scenarios fetch or build once and keep in the user's cache.

A directory appears there whole or not at all, so that two test runs may build at once.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_directory() -> Path:
    """Where it all goes."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kpy"


def build_once(directory: Path, is_there: Callable[[], bool], build: Callable[[Path], None]) -> Path:
    """The directory; `build` makes it, under another name first, if it is not there yet."""
    if is_there():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=directory.parent) as scratch:
        built = Path(scratch) / directory.name
        build(built)
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
        try:
            built.rename(directory)
        except OSError:
            if not is_there():
                raise
    return directory

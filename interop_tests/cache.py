"""What is fetched or built once and kept: by the scenarios in the user's cache, by the tests in a build directory.

A directory appears whole or not at all, and who wants it while another process makes it waits for that.
"""

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_directory() -> Path:
    """Where the scenarios keep it all."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kpy"


def build_once(directory: Path, is_there: Callable[[], bool], build: Callable[[Path], None]) -> Path:
    """The directory; `build` makes it, under another name first, if it is not there yet."""
    if is_there():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_there():
            _build(directory, build)
    return directory


def _build(directory: Path, build: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix=".building-", dir=directory.parent) as scratch:
        built = Path(scratch) / directory.name
        build(built)
        built.rename(directory)

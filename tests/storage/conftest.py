import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kpy.storage.disk_files import DiskFiles
from kpy.storage.files import Files
from kpy.storage.memory_files import MemoryFiles
from tests.server.failing_files import disk

__all__ = ["disk"]


@pytest.fixture(params=["disk", "memory"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """Files of either kind: what holds for one has to hold for the other."""
    return DiskFiles(tmp_path / "data") if request.param == "disk" else MemoryFiles()


@pytest.fixture
def after_kill(files: Files, tmp_path: Path) -> Callable[[], Files]:
    """What the next process finds if the broker is killed now: all that was written, and no lock."""

    def copy() -> Files:
        if isinstance(files, MemoryFiles):
            return copy_of(files)
        shutil.copytree(files.location, tmp_path / "left")
        return DiskFiles(tmp_path / "left")

    return copy


def copy_of(files: MemoryFiles) -> MemoryFiles:
    left = MemoryFiles()
    for directory in files.list():
        if files.read(directory) is not None:
            left.replace(directory, files.read(directory) or b"")
            continue
        left.make_directory(directory)
        for name in files.list(directory):
            left.replace(f"{directory}/{name}", files.read(f"{directory}/{name}") or b"")
    return left

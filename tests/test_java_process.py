"""How the programs in Java come to be built, which the tests that ask Kafka's own classes rely on."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interop_tests.cache import build_once
from interop_tests.oracle.libraries import BuildFailed, ToolchainMissing
from tests.java_process import classes

TIMEOUT_S = 20.0


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A machine that has the commands alone that a test writes, as scripts for /bin/sh."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))

    def install(name: str, script: str) -> None:
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)

    return install


def test_without_a_jdk(install: Callable[[str, str], None], tmp_path: Path) -> None:
    """A compiler that is missing is named."""
    with pytest.raises(ToolchainMissing, match=r"no `javac` .* the tests' programs in Java need a JDK, 17 or newer"):
        classes(tmp_path)


def test_without_maven(install: Callable[[str, str], None], tmp_path: Path) -> None:
    """So is Maven."""
    install("javac", "")

    with pytest.raises(ToolchainMissing, match=r"no `mvn` .* it takes Maven to get the tests' programs in Java"):
        classes(tmp_path)


@pytest.mark.parametrize(
    ("reference", "failure"),
    [
        ("MojoFailureException", BuildFailed),
        ("ProjectBuildingException", BuildFailed),
        ("MojoExecutionException", ToolchainMissing),
        ("DependencyResolutionException", ToolchainMissing),
        ("PluginResolutionException", ToolchainMissing),
    ],
)
def test_whose_fault_it_is(
    reference: str, failure: type[Exception], install: Callable[[str, str], None], tmp_path: Path
) -> None:
    """What Maven cannot get is missing, a mistake in what it builds is a failure; it says why, and nothing is left."""
    install("javac", "")
    install("mvn", f"echo '[ERROR] here is why'; echo '[Help 1] http://cwiki.apache.org/MAVEN/{reference}'; exit 1")

    with pytest.raises(failure, match="here is why"):
        classes(tmp_path / "builds")

    assert [path.name for path in (tmp_path / "builds").iterdir()] == [".lock"]


def test_built_once(install: Callable[[str, str], None], tmp_path: Path) -> None:
    """What is built already takes no Maven."""
    install("javac", "")
    install("mvn", 'for last; do :; done; /bin/mkdir -p "${last#-Dbuilt.directory=}/classes"')
    built = classes(tmp_path)
    install("mvn", "exit 1")

    assert built.is_dir()
    assert classes(tmp_path) == built


def test_workers_that_start_at_once(tmp_path: Path) -> None:
    """One builds, and who asks in the meantime waits for it."""
    directory = tmp_path / "built"
    asked = threading.Semaphore(0)
    builds: list[Path] = []

    def is_there() -> bool:
        asked.release()
        return directory.is_dir()

    def build(built: Path) -> None:
        builds.append(built)
        # The first asks before it waits for the others, and again when it builds; the second's asking is the third.
        for _ in range(3):
            assert asked.acquire(timeout=TIMEOUT_S)
        built.mkdir()

    with ThreadPoolExecutor(2) as workers:
        found = [workers.submit(build_once, directory, is_there, build) for _ in range(2)]

        assert [future.result() for future in found] == [directory, directory]
    assert len(builds) == 1

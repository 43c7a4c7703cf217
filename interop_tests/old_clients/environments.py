"""An environment of its own for each old client, built once from the public registries: packages, or jars."""

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from interop_tests.cache import build_once, cache_directory
from interop_tests.oracle.libraries import ToolchainMissing, copy_jars

HERE = Path(__file__).parent
INSTALL_TIMEOUT_S = 300.0


def python_with(requirements: Sequence[str]) -> Path:
    """The `python` of a virtual environment with these packages, of which the first gives it its name."""
    interpreter = os.path.realpath(sys.executable)
    digest = hashlib.sha256("\n".join([interpreter, sys.version, *requirements]).encode()).hexdigest()
    directory = cache_directory() / "old-clients" / f"{requirements[0].replace('==', '-')}-{digest[:12]}"
    python = directory / "bin" / "python"

    def build(built: Path) -> None:
        venv.create(built, symlinks=True)
        install(built / "bin" / "python", requirements)

    build_once(directory, python.exists, build)
    return python


def install(python: Path, requirements: Sequence[str]) -> None:
    """With this interpreter's pip, and wheels alone: what has to be compiled is no client that installs."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    command += ["--only-binary", ":all:", *requirements]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ToolchainMissing(f"PyPI: no {requirements[0]} after {INSTALL_TIMEOUT_S:.0f} s") from None
    if run.returncode != 0:
        output = run.stdout[-2000:] + run.stderr[-2000:]
        raise ToolchainMissing(f"PyPI: pip could not install {' '.join(requirements)}:\n{output}")


def jars_of_kafka_clients(version: str) -> Path:
    """The directory of Apache Kafka's Java client of that version with what it needs."""
    directory = cache_directory() / "old-clients" / f"kafka-clients-{version}"
    return build_once(
        directory,
        lambda: any(directory.glob("kafka-clients-*.jar")),
        lambda fetched: copy_jars(HERE / "pom.xml", f"kafka-clients {version}", version, fetched),
    )

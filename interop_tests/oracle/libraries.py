"""Where Apache Kafka's jars are, fetching them from Maven Central the first time.

The jars go to `$KPY_KAFKA_LIBS`, or to a directory of this release in the user's cache. The directory appears whole or
not at all, so that two test runs may fetch at once. What a machine lacks for it is a `ToolchainMissing` that says so.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

KAFKA_VERSION = "4.3.1"
HERE = Path(__file__).parent
FETCH_TIMEOUT_S = 600.0


class ToolchainMissing(Exception):
    """Something that this machine does not have; the message says what, and what it is for."""


def java() -> str:
    """The `java` command; Kafka 4.3's broker and tools want Java 17."""
    return _command("java", "Apache Kafka and its command line tools need Java 17 or newer")


def libraries() -> Path:
    """The directory of the jars, fetched by Maven if it is not there yet."""
    directory = libraries_directory()
    if not any(directory.glob("kafka_2.13-*.jar")):
        _fetch(directory)
    return directory


def jar(name: str) -> Path:
    """One of Apache Kafka's own jars, such as `kafka-clients`."""
    return libraries() / f"{name}-{KAFKA_VERSION}.jar"


def libraries_directory() -> Path:
    """Where the jars are or would be; nothing is fetched."""
    if override := os.environ.get("KPY_KAFKA_LIBS"):
        return Path(override).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "kpy" / f"apache-kafka-{KAFKA_VERSION}" / "libs"


def _fetch(directory: Path) -> None:
    maven = _command("mvn", "Apache Kafka's jars are fetched from Maven Central by Maven")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=directory.parent) as scratch:
        fetched = Path(scratch) / "libs"
        command = [maven, "-q", "-B", "-f", str(HERE / "pom.xml"), f"-Dkafka.version={KAFKA_VERSION}"]
        command += ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, cwd=scratch, check=False
            )
        except subprocess.TimeoutExpired:
            raise ToolchainMissing(f"Maven Central: no jars after {FETCH_TIMEOUT_S:.0f} s") from None
        if run.returncode != 0:
            output = run.stdout[-2000:] + run.stderr[-2000:]
            raise ToolchainMissing(f"Maven Central: mvn could not fetch Apache Kafka {KAFKA_VERSION}:\n{output}")
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
        try:
            fetched.rename(directory)
        except OSError:
            if not any(directory.glob("kafka_2.13-*.jar")):
                raise


def _command(name: str, why: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise ToolchainMissing(f"no `{name}` on this machine: {why}")
    return path

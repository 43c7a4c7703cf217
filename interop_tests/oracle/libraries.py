"""Where Apache Kafka's jars are, fetching them from Maven Central the first time.

The jars go to `$KPY_KAFKA_LIBS`, or to a directory of this release in the user's cache. What a machine lacks for it
is a `ToolchainMissing` that says so.
"""

import os
import shutil
import subprocess
from pathlib import Path

from interop_tests.cache import build_once, cache_directory

KAFKA_VERSION = "4.3.1"
HERE = Path(__file__).parent
FETCH_TIMEOUT_S = 600.0


class ToolchainMissing(Exception):
    """Something that this machine does not have; the message says what, and what it is for."""


def java() -> str:
    """The `java` command; Kafka 4.3's broker and tools want Java 17."""
    return command("java", "Apache Kafka and its command line tools need Java 17 or newer")


def java_for_sources() -> str:
    """The `java` command of a JDK, which compiles a source file as it starts it."""
    command("javac", "the scenarios' own programs in Java need a JDK, 17 or newer")
    return java()


def libraries() -> Path:
    """The directory of the jars, fetched by Maven if it is not there yet."""
    directory = libraries_directory()
    return build_once(
        directory,
        lambda: any(directory.glob("kafka_2.13-*.jar")),
        lambda fetched: copy_jars(HERE / "pom.xml", f"Apache Kafka {KAFKA_VERSION}", KAFKA_VERSION, fetched),
    )


def jar(name: str) -> Path:
    """One of Apache Kafka's own jars, such as `kafka-clients`."""
    return libraries() / f"{name}-{KAFKA_VERSION}.jar"


def libraries_directory() -> Path:
    """Where the jars are or would be; nothing is fetched."""
    if override := os.environ.get("KPY_KAFKA_LIBS"):
        return Path(override).absolute()
    return cache_directory() / f"apache-kafka-{KAFKA_VERSION}" / "libs"


def copy_jars(pom: Path, what: str, kafka_version: str, directory: Path) -> None:
    """The runtime jars of a pom, which has the version of Kafka as a property, from Maven Central to the directory."""
    maven = command("mvn", f"{what} is fetched from Maven Central by Maven")
    arguments = [maven, "-q", "-B", "-f", str(pom), f"-Dkafka.version={kafka_version}"]
    arguments += ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={directory}"]
    try:
        run = subprocess.run(
            arguments, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, cwd=directory.parent, check=False
        )
    except subprocess.TimeoutExpired:
        raise ToolchainMissing(f"Maven Central: no jars after {FETCH_TIMEOUT_S:.0f} s") from None
    if run.returncode != 0:
        output = run.stdout[-2000:] + run.stderr[-2000:]
        raise ToolchainMissing(f"Maven Central: mvn could not fetch {what}:\n{output}")


def command(name: str, why: str) -> str:
    """Where a command is."""
    path = shutil.which(name)
    if path is None:
        raise ToolchainMissing(f"no `{name}` on this machine: {why}")
    return path

"""Where Apache Kafka's jars are, fetching them from Maven Central the first time; and how Maven is run.

The jars go to `$KPY_KAFKA_LIBS`, or to a directory of this release in the user's cache. What a machine lacks for it
is a `ToolchainMissing` that says so.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from interop_tests.cache import build_once, cache_directory

KAFKA_VERSION = "4.3.1"
HERE = Path(__file__).parent
MAVEN_TIMEOUT_S = 600.0
FAULTS_OF_THE_PROJECT = ("MojoFailureException", "ProjectBuildingException")
"""What Maven refers to when it is not the machine's fault: a source that does not compile, a pom that is wrong."""


class ToolchainMissing(Exception):
    """Something that this machine does not have; the message says what, and what it is for."""


class BuildFailed(Exception):
    """Maven finds a mistake in what it builds; the message is what it says."""


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
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={directory}"]
    run_maven(pom, what, kafka_version, goal)


def run_maven(pom: Path, what: str, kafka_version: str, goal: Sequence[str]) -> None:
    """A goal and its options for a pom that has the version of Kafka as a property."""
    maven = command("mvn", f"it takes Maven to get {what}")
    arguments = [maven, "-q", "-B", "-f", str(pom), f"-Dkafka.version={kafka_version}", *goal]
    try:
        run = subprocess.run(arguments, capture_output=True, text=True, timeout=MAVEN_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise ToolchainMissing(f"Maven Central: mvn has not got {what} after {MAVEN_TIMEOUT_S:.0f} s") from None
    if run.returncode == 0:
        return
    if any(f"MAVEN/{fault}" in run.stdout for fault in FAULTS_OF_THE_PROJECT):
        raise BuildFailed(f"{what}: {pom} does not build:\n{run.stdout}")
    output = run.stdout[-2000:] + run.stderr[-2000:]
    raise ToolchainMissing(f"Maven Central: mvn could not get {what}:\n{output}")


def command(name: str, why: str) -> str:
    """Where a command is."""
    path = shutil.which(name)
    if path is None:
        raise ToolchainMissing(f"no `{name}` on this machine: {why}")
    return path

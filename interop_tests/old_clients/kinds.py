"""Which old clients there are, to the exact version, and what each has."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from interop_tests.clients import CODECS
from interop_tests.old_clients import OldClient
from interop_tests.old_clients.agents import AgentClient
from interop_tests.old_clients.environments import jars_of_kafka_clients, python_with
from interop_tests.old_clients.kcat import Kcat
from interop_tests.oracle.libraries import command, java
from interop_tests.oracle.node import QUICK_START

ACKS = ("0", "1", "all")
JAVA_AGENT = Path(__file__).parent / "java" / "JavaAgent.java"

# What kafka-python needs beside itself: a codec each, and a `six` where its own is too old for the interpreter.
CODEC_PACKAGES = ("lz4==4.4.5", "python-snappy==0.7.3", "zstandard==0.25.0")
SIX = "six==1.17.0"

# The oldest wheel on PyPI for each Python; older releases are to be compiled, with a librdkafka that is not there.
OLDEST_CONFLUENT = {(3, 11): "2.0.2", (3, 12): "2.3.0", (3, 13): "2.6.0", (3, 14): "2.12.1"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A client of an exact version."""

    name: str
    start: Callable[[str, str], OldClient]
    """Takes the broker's address and the client's name; raises ToolchainMissing if this machine lacks what it needs."""
    codecs: Sequence[str] = CODECS
    acks: Sequence[str] = ACKS
    is_idempotent: bool = True


def kafka_python(
    version: str, *, codecs: Sequence[str] = CODECS, acks: Sequence[str] = ACKS, is_idempotent: bool
) -> Kind:
    requirements = (f"kafka-python=={version}", *CODEC_PACKAGES, SIX)
    start = python_agent("kafka_python_agent", requirements)
    return Kind(f"kafka-python-{version}", start, codecs, acks, is_idempotent)


def confluent_kafka() -> Kind:
    version = OLDEST_CONFLUENT.get(sys.version_info[:2], OLDEST_CONFLUENT[max(OLDEST_CONFLUENT)])
    return Kind(f"confluent-kafka-{version}", python_agent("confluent_agent", (f"confluent-kafka=={version}",)))


def python_agent(module: str, requirements: Sequence[str]) -> Callable[[str, str], OldClient]:
    def start(bootstrap: str, name: str) -> OldClient:
        python = python_with(requirements)
        return AgentClient(bootstrap, name, [str(python), "-m", f"interop_tests.old_clients.{module}"])

    return start


def java_clients(version: str) -> Kind:
    """The agent's source is compiled as it starts."""

    def start(bootstrap: str, name: str) -> OldClient:
        command("javac", "the agent of old Java clients is compiled against each of them")
        class_path = f"{jars_of_kafka_clients(version)}/*"
        return AgentClient(bootstrap, name, [java(), "-Xmx128m", *QUICK_START, "-cp", class_path, str(JAVA_AGENT)])

    return Kind(f"java-{version}", start)


WITHOUT_ZSTD = ("none", "gzip", "snappy", "lz4")
OLD_KAFKA_PYTHONS = (
    kafka_python("1.4.7", codecs=WITHOUT_ZSTD, is_idempotent=False),
    kafka_python("2.0.2", is_idempotent=False),
    # With acks=0 it says that a record is sent, and sends it when another request has to go: to no broker at all.
    kafka_python("2.3.3", acks=("1", "all"), is_idempotent=True),
)
OLD_LIBRARIES = (*OLD_KAFKA_PYTHONS, confluent_kafka(), java_clients("2.1.1"), java_clients("3.9.2"))
KCAT = Kind("kcat", Kcat)
OLD_CLIENTS = (*OLD_LIBRARIES, KCAT)

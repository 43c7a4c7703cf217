"""Apache Kafka's own console tools, by class, over the jars that the oracle runs on."""

import re
import subprocess
from collections.abc import Sequence

from interop_tests.clients import (
    AUTO_COMMIT_INTERVAL_MS,
    HEARTBEAT_INTERVAL_MS,
    SESSION_TIMEOUT_MS,
    Client,
    TopicDescription,
)
from interop_tests.oracle.libraries import java, libraries
from interop_tests.oracle.node import LOGGING, QUICK_START


class JavaConsole(Client):
    name = "java"

    def require(self) -> None:
        java()
        libraries()

    def producer(self, bootstrap: str, topic: str, codec: str = "none") -> Sequence[str]:
        idempotent = ("--command-property", "enable.idempotence=true", "--request-required-acks", "all")
        return tool("ConsoleProducer", bootstrap, "--topic", topic, *idempotent, "--compression-codec", codec)

    def consumer(self, bootstrap: str, topic: str, group: str) -> Sequence[str]:
        settings = (
            f"session.timeout.ms={SESSION_TIMEOUT_MS}",
            f"heartbeat.interval.ms={HEARTBEAT_INTERVAL_MS}",
            f"auto.commit.interval.ms={AUTO_COMMIT_INTERVAL_MS}",
        )
        options = [part for setting in settings for part in ("--command-property", setting)]
        return tool(
            "consumer.ConsoleConsumer", bootstrap, "--topic", topic, "--group", group, "--from-beginning", *options
        )

    def create_topic(self, bootstrap: str, topic: str, partitions: int, retention_ms: int) -> None:
        settings = (
            "--partitions",
            str(partitions),
            "--replication-factor",
            "1",
            "--config",
            f"retention.ms={retention_ms}",
        )
        run(tool("TopicCommand", bootstrap, "--create", "--topic", topic, *settings))

    def describe_topic(self, bootstrap: str, topic: str) -> TopicDescription | None:
        output = run(tool("TopicCommand", bootstrap, "--describe", "--topic", topic), missing="does not exist")
        if output is None:
            return None
        described = re.search(r"PartitionCount: (\d+).*retention\.ms=(\d+)", output)
        assert described, output
        return TopicDescription(int(described[1]), described[2])

    def delete_topic(self, bootstrap: str, topic: str) -> None:
        run(tool("TopicCommand", bootstrap, "--delete", "--topic", topic))

    def describe_group(self, bootstrap: str, group: str) -> str:
        return run(tool("consumer.group.ConsumerGroupCommand", bootstrap, "--describe", "--group", group)) or ""


def tool(name: str, bootstrap: str, *options: str) -> Sequence[str]:
    """The command of a tool in `org.apache.kafka.tools`."""
    virtual_machine = (java(), "-Xmx128m", *QUICK_START, LOGGING, "-cp", f"{libraries()}/*")
    return (*virtual_machine, f"org.apache.kafka.tools.{name}", "--bootstrap-server", bootstrap, *options)


def run(command: Sequence[str], missing: str | None = None) -> str | None:
    """What the tool printed; None if it failed with the words `missing`."""
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    output = finished.stdout + finished.stderr
    if missing and missing in output:
        return None
    assert finished.returncode == 0, output
    return finished.stdout

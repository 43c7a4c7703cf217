"""One node of Apache Kafka, broker and controller in one process, formatted and started on free ports."""

import base64
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from interop_tests.brokers import FAIR_SETTINGS, OwnBroker, free_port
from interop_tests.oracle.libraries import java, libraries

LOGGING = f"-Dlog4j2.configurationFile={Path(__file__).parent / 'log4j2.properties'}"
STORAGE_LOGGING = f"-Dlog4j2.configurationFile={Path(__file__).parent / 'log4j2-storage.properties'}"
"""The broker's logs tell how they are loaded, too."""
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
ONE_NODE: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # After a kill the node may not register again before its old session has run out: 9 s by default. Where it falls
    # silent for that long it is fenced, and for a moment its partitions have no leader.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "200",
}


class KafkaNode(OwnBroker):
    """Apache Kafka over the jars of `libraries`."""

    name = "kafka"

    def __init__(
        self,
        *,
        settings: Mapping[str, str] | None = None,
        scratch: Path | None = None,
        heap: str = "512m",
        java_options: Sequence[str] = QUICK_START,
        port: int = 0,
        logging: str = LOGGING,
    ) -> None:
        self._java = java()
        self._class_path = f"{libraries()}/*"
        super().__init__(scratch)
        self.port = port
        self._memory = (f"-Xms{heap}", f"-Xmx{heap}")
        self._java_options = java_options
        self._logging = logging
        self._settings = {**ONE_NODE, **FAIR_SETTINGS, **(settings or {})}
        self._properties = self.scratch / "server.properties"

    def command(self) -> Sequence[str]:
        return (
            self._java,
            *self._memory,
            *self._java_options,
            self._logging,
            "-cp",
            self._class_path,
            "kafka.Kafka",
            str(self._properties),
        )

    def prepare(self) -> None:
        if self._properties.exists():
            return
        self.port = self.port or free_port()
        client, controller = f"{self.host}:{self.port}", f"{self.host}:{free_port()}"
        addresses = {
            "listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{client},CONTROLLER://{controller}",
            "controller.quorum.bootstrap.servers": controller,
            "log.dirs": str(self.data_directory),
        }
        text = "".join(f"{name}={value}\n" for name, value in {**addresses, **self._settings}.items())
        self._properties.write_text(text)
        self._format()

    def _format(self) -> None:
        cluster_id = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).rstrip(b"=").decode()
        command = [self._java, *QUICK_START, LOGGING, "-cp", self._class_path, "kafka.tools.StorageTool", "format"]
        command += ["--standalone", "-t", cluster_id, "-c", str(self._properties)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=self.start_timeout_s, check=False)
        if run.returncode != 0:
            raise RuntimeError(f"the data directory could not be formatted:\n{run.stdout}{run.stderr}")

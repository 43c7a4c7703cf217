"""Apache Kafka 4.3.1's own codecs as an oracle: the classes of its clients and brokers.

`KafkaCodec.java` says what travels between that process and this one.
"""

import base64
import json
import struct
from collections.abc import Sequence
from typing import Any

from tests.java_process import JavaProcess

LENGTH = struct.Struct(">i")


class JavaError(Exception):
    """Kafka's code refused; the message is its stack trace."""


class JavaCodec(JavaProcess):
    """The process, from `with` to its end."""

    main_class = "KafkaCodec"

    def message(self, class_name: str, version: int, encoded: bytes) -> tuple[Any, bytes]:
        """The message that Java reads, as Kafka's JSON, and the bytes that it writes for it."""
        described, written = self._ask(f"message {class_name} {version}", encoded)
        return json.loads(described), written

    def read_batches(self, encoded: bytes) -> list[dict[str, Any]]:
        """The record batches that Java reads."""
        described, _ = self._ask("read-batches", encoded)
        batches: list[dict[str, Any]] = json.loads(described)
        return batches

    def write_batch(self, described: dict[str, Any]) -> bytes:
        """A record batch that Java writes; of what `read_batches` tells, it takes all that does not follow."""
        return self._ask("write-batch", json.dumps(described).encode())[1]

    def partitions_of_groups(self, group_ids: Sequence[str], partition_count: int) -> list[int]:
        """Where Kafka's group coordinator puts each of these groups."""
        described, _ = self._ask(f"group-partitions {partition_count}", json.dumps(group_ids).encode())
        partitions: list[int] = json.loads(described)
        return partitions

    def hash_map_order(self, keys: Sequence[str]) -> list[str]:
        """These keys as a HashMap lists them."""
        described, _ = self._ask("hash-map-order", json.dumps(keys).encode())
        order: list[str] = json.loads(described)
        return order

    def _ask(self, command: str, data: bytes) -> tuple[bytes, bytes]:
        self._stdin.write(b"".join([LENGTH.pack(len(command)), command.encode(), LENGTH.pack(len(data)), data]))
        self._stdin.flush()
        error, described, answer = self._part(), self._part(), self._part()
        if error:
            raise JavaError(error.decode())
        return described, answer

    def _part(self) -> bytes:
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        return self._read(length)

    def _read(self, size: int) -> bytes:
        found = self._stdout.read(size)
        assert len(found) == size, "Java has ended: its standard error says why"
        return found


def to_base64(data: bytes | None) -> str | None:
    """How JSON has bytes."""
    return None if data is None else base64.b64encode(data).decode()

"""Apache Kafka 4.3.1's own assignors and metadata hashes as an oracle, in a small Java process.

`java/KafkaAssignors.java` says what travels between that process and this one.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, Self

from interop_tests.oracle.libraries import libraries_directory
from tests.protocol.java_codec import SMALL, STOP_TIMEOUT_S, missing

SOURCE = Path(__file__).parent / "java" / "KafkaAssignors.java"

__all__ = ["JavaAssignors", "missing"]


class JavaAssignors:
    """The process, from `with` to its end."""

    def __init__(self, scratch: Path) -> None:
        jars = libraries_directory()
        java = ["java", *SMALL, f"-Djava.io.tmpdir={scratch}", "-cp", f"{jars}/*"]
        self._process = subprocess.Popen(
            [*java, SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe
            pipe.close()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to one question."""
        process = self._process
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, process.stderr.read()
        answer: dict[str, Any] = json.loads(line)
        return answer

"""Apache Kafka 4.3.1's own assignors and metadata hashes as an oracle.

`KafkaAssignors.java` says what travels between that process and this one.
"""

import json
from typing import Any

from tests.java_process import JavaProcess


class JavaAssignors(JavaProcess):
    """The process, from `with` to its end."""

    main_class = "KafkaAssignors"

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to one question."""
        self._stdin.write(json.dumps(question).encode() + b"\n")
        self._stdin.flush()
        line = self._stdout.readline()
        assert line, "Java has ended: its standard error says why"
        answer: dict[str, Any] = json.loads(line)
        return answer

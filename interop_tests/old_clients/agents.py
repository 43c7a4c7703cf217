"""Old client libraries, driven through agents that run in their environments."""

from collections.abc import Sequence

from interop_tests.eventually import PATIENCE_S
from interop_tests.old_clients import Member, OldClient, Record
from interop_tests.processes import LineProcess

ANSWER_PATIENCE_S = 2 * PATIENCE_S
"""An agent gives up by itself, and says what it waited for, after `PATIENCE_S`."""


class Refused(Exception):
    """The client raised something: here is what."""


class AgentClient(OldClient):
    """A client with a library: one agent process does everything, consumers in its threads."""

    def __init__(self, bootstrap: str, name: str, command: Sequence[str]) -> None:
        super().__init__(bootstrap, name)
        self._process = LineProcess([*command, bootstrap, name])
        self._joined = 0

    def close(self) -> None:
        self._process.close()

    def produce(
        self,
        topic: str,
        records: Sequence[tuple[str, str]],
        *,
        codec: str = "none",
        acks: str = "all",
        idempotent: bool = False,
    ) -> None:
        words = [f"{key} {value}" for key, value in records]
        self.ask("produce", topic, codec, acks, "true" if idempotent else "false", *words)

    def read(self, topic: str, count: int) -> list[Record]:
        return [Record.parse(word) for word in self.ask("read", topic, count)]

    def offset_at(self, topic: str, timestamp_ms: int) -> int:
        [found] = self.ask("offset", topic, 0, timestamp_ms)
        return int(found)

    def bounds(self, topic: str) -> tuple[int, int]:
        begin, end = self.ask("bounds", topic, 0)
        return int(begin), int(end)

    def join(self, topic: str, group: str) -> Member:
        self._joined += 1
        return AgentMember(self, str(self._joined), topic, group)

    def create_topic(self, topic: str, partitions: int, retention_ms: int) -> None:
        self.ask("create", topic, partitions, retention_ms)

    def grow_topic(self, topic: str, partitions: int) -> None:
        self.ask("grow", topic, partitions)

    def configure_topic(self, topic: str, retention_ms: int) -> None:
        self.ask("configure", topic, retention_ms)

    def delete_topic(self, topic: str) -> None:
        self.ask("delete", topic)

    def topics(self) -> list[str]:
        return self.ask("topics")

    def describe_topic(self, topic: str) -> tuple[int, int]:
        """How many partitions it has, and its retention.ms."""
        partitions, retention_ms = self.ask("describe", topic)
        return int(partitions), int(retention_ms)

    def groups(self) -> list[str]:
        return self.ask("groups")

    def describe_group(self, group: str) -> tuple[str, list[str]]:
        """Its state, and the client ids of its members."""
        state, *client_ids = self.ask("members", group)
        return state, client_ids

    def ask(self, *words: object) -> list[str]:
        """The words of the agent's answer."""
        count = len(self._process.lines) + 1
        self.broken = True
        self._process.send("\t".join(map(str, words)))
        self._process.wait_for(count, within_s=ANSWER_PATIENCE_S)
        self.broken = False
        result, *answer = self._process.lines[count - 1].split("\t")
        if result != "ok":
            raise Refused(f"{self.name}: {words[0]}: {' '.join(answer)}\n{self._process.errors()}")
        return answer


class AgentMember(Member):
    def __init__(self, agent: AgentClient, name: str, topic: str, group: str) -> None:
        self._agent = agent
        self._name = name
        agent.ask("join", name, topic, group)

    def received(self) -> list[str]:
        return self._agent.ask("received", self._name)

    def leave(self) -> None:
        self._agent.ask("leave", self._name)

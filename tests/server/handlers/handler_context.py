"""Handlers called directly, on a real controller whose log is in memory."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar, cast
from uuid import UUID

from kpy.cluster.controller import Controller
from kpy.cluster.image import ClusterImage, TopicImage
from kpy.protocol.errors import KafkaError
from kpy.protocol.schema import Message
from kpy.server.context import RequestContext
from kpy.state_machine import Decision, ReplyTo
from kpy.storage.producer_states import ProducerStates
from tests.cluster.controller_context import Answer, ControllerContext

R = TypeVar("R", bound=Message)


class FakeLogs:
    """The sizes of logs that were written, and their producers."""

    def __init__(self) -> None:
        self.sizes: dict[tuple[str, int], int] = {}
        self.producers: dict[tuple[str, int], ProducerStates] = {}

    def get(self, topic: str, index: int) -> object | None:
        size, producers = self.sizes.get((topic, index)), self.producers.get((topic, index))
        if size is None and producers is None:
            return None
        return SimpleNamespace(size_bytes=size, producers=producers)


class HandlerContext:
    """A broker as far as its admin handlers know it."""

    def __init__(self, **settings: str) -> None:
        self.state = ControllerContext({name.replace("_", "."): value for name, value in settings.items()})
        self.logs = FakeLogs()
        self._connection = SimpleNamespace(listener="PLAINTEXT", peer="127.0.0.1")

    @property
    def controller(self) -> Controller:
        return self.state.controller

    @property
    def image(self) -> ClusterImage:
        return self.state.image

    def change(self, decide: Callable[[Controller, ReplyTo], Decision], error_response: Callable[[KafkaError], R]) -> R:
        answer = Answer()
        try:
            self.state.execute(decide(self.controller, answer))
        except KafkaError as error:
            return error_response(error)
        return cast("R", answer.message)

    def request(self, version: int) -> RequestContext:
        services = SimpleNamespace(
            cluster=self,
            config=self.controller.config_rules.broker_config(self.image),
            partitions=SimpleNamespace(logs=self.logs, log=self.logs.get),
            checkpoints=SimpleNamespace(must_forget=False),
        )
        return RequestContext(cast("Any", services), cast("Any", self._connection), version, "client")

    def call(self, handler: Callable[[Any, RequestContext], R], request: Message, version: int) -> R:
        """The response as a client of that version sees it."""
        response = handler(request, self.request(version))
        return cast("R", type(response).decode(response.encode(version), version))

    def created(self, *names: str) -> None:
        self.state.created(*names)

    def topic(self, name: str) -> TopicImage:
        return self.state.topic(name)


UNKNOWN_ID = UUID(int=0xDEADBEEF)

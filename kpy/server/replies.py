"""The places of answers that may come later than the handler returns."""

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

import trio

from kpy.protocol.errors import KafkaError
from kpy.protocol.schema import Message
from kpy.server.network import Part

R = TypeVar("R", bound=Message)

Reply = list[Part] | None
"""The parts of a frame; None where the client expects no reply."""


class ReplySlot(Generic[R]):
    """The place of one answer: settled once, with a response or with the response that its API gives for an error.

    It can be awaited, or asked to tell when the answer is there.
    """

    __slots__ = ("_error_response", "_event", "_message", "_tell")

    def __init__(self, error_response: Callable[[KafkaError], R]) -> None:
        self._error_response = error_response
        self._message: R | None = None
        self._event: trio.Event | None = None
        self._tell: Callable[[], None] | None = None

    def resolve(self, message: Message) -> None:
        if self._message is not None:
            raise AssertionError(f"a request is answered twice: {self._message!r}, then {message!r}")
        self._message = message  # type: ignore[assignment]  # it is of the API that was asked
        if self._event is not None:
            self._event.set()
        elif self._tell is not None:
            self._tell()

    def fail(self, error: KafkaError) -> None:
        self.resolve(self._error_response(error))

    @property
    def message(self) -> R | None:
        """The answer, once there is one."""
        return self._message

    def then(self, tell: Callable[[], None]) -> None:
        """Call `tell` when there is the answer, at once if it is there."""
        if self._message is not None:
            tell()
        else:
            self._tell = tell

    def __await__(self) -> Generator[Any, None, R]:
        return self.wait().__await__()

    async def wait(self) -> R:
        """Wait for the answer."""
        self._event = trio.Event()
        while self._message is None:
            await self._event.wait()
        return self._message


class Promise:
    """The reply of a request that is decided, and answered when what it was gathered with is done."""

    __slots__ = ("_make", "_slot", "_what")

    def __init__(self, slot: ReplySlot[Any], make: Callable[..., Reply], *what: object) -> None:
        """`make` is called with the answer and with `what` else it has to know."""
        self._slot = slot
        self._make = make
        self._what = what

    def reply(self) -> Reply:
        """The reply, once it is there."""
        return self._make(self._slot.message, *self._what)

    def then(self, tell: Callable[[], None]) -> None:
        """Call `tell` when there is the reply, at once if it is there."""
        self._slot.then(tell)

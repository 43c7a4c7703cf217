"""A stream of bytes that is read forwards, in pieces of a known size, and looked at before it is read."""

from typing import Protocol


class InputError(ValueError):
    """The input is not what it should be; one line for whoever gave it."""


class Readable(Protocol):
    """What is asked of a stream: at most that many bytes, and none at its end."""

    def read(self, size: int, /) -> bytes: ...


class Source:
    """Reads from a stream; `position` is how far."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._ahead = b""
        self.position = 0

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay to be read; fewer at the end."""
        while len(self._ahead) < size and (more := self._stream.read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def take(self, size: int) -> bytes:
        """The next bytes; fewer at the end."""
        parts = [self._ahead[:size]]
        self._ahead = self._ahead[size:]
        missing = size - len(parts[0])
        while missing and (more := self._stream.read(missing)):
            parts.append(more)
            missing -= len(more)
        self.position += size - missing
        return b"".join(parts)

    def exactly(self, size: int, what: str) -> bytes:
        """The next bytes, all of them; `what` they are is said if they are not there."""
        start = self.position
        data = self.take(size)
        if len(data) < size:
            raise InputError(f"the file ends in {what} at byte {start}: {len(data)} of {size} bytes are there")
        return data

"""What the disk refuses, as Kafka tells clients of it: KAFKA_STORAGE_ERROR for the partition, and a line in the log.

A full disk refuses every request that comes. However many these are, one line a second is logged.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.server.log_limit import OncePerSecond

logger = logging.getLogger(__name__)


class StorageErrors:
    """Turns errors of the disk into answers."""

    def __init__(self) -> None:
        self._logs = OncePerSecond()

    def answer(self, what: str, error: OSError) -> KafkaError:
        """The answer to whoever asked for `what`, a partition."""
        if self._logs():
            logger.error("%s: cannot be read or written: %s", what, error)
        return KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, str(error))

    @contextmanager
    def answered(self, what: str) -> Iterator[None]:
        """As `answer`, for whatever the block raises."""
        try:
            yield
        except OSError as error:
            raise self.answer(what, error) from error

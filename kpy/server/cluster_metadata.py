"""The cluster's metadata as the server uses it: the controller's runtime over its log, and the image that it keeps.

Whatever the controller changes reaches the partitions and the group coordinators before the client has its answer; and
the disk, as with KRaft: no client is told of a change that a power cut could take back (`kpy.server.dispatch` waits).
"""

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

from kpy.cluster.controller import Controller
from kpy.cluster.image import Changes, ClusterImage
from kpy.cluster.producer_ids import ProducerIds
from kpy.cluster.topic_names import CLUSTER_METADATA
from kpy.config import BrokerConfig
from kpy.protocol.errors import KafkaError
from kpy.protocol.metadata_records import ProducerIdsRecord
from kpy.protocol.schema import Message
from kpy.server.clock import Clock
from kpy.server.flushing import Flusher
from kpy.server.state_machine_runtime import KeyAndValue, StateMachineRuntime
from kpy.server.storage_errors import StorageErrors
from kpy.server.timers import Timers
from kpy.state_machine import Decision, ReplyTo
from kpy.storage.log_config import LogConfig
from kpy.storage.log_directory import LogDirectory
from kpy.storage.partition_log import PartitionLog

INT32_MAX = 2**31 - 1
CLUSTER_METADATA_TOPIC_ID = UUID(int=1)  # Uuid.METADATA_TOPIC_ID

R = TypeVar("R", bound=Message)
Follower = Callable[[ClusterImage, Changes], None]


class MetadataJournal:
    """The log of the controller's records: one partition, one leader epoch."""

    def __init__(self, log: PartitionLog, clock: Clock) -> None:
        self._clock = clock
        self._errors = StorageErrors()
        self._log = log
        self._log.config = LogConfig(max_message_bytes=INT32_MAX)  # a decision is one batch, however long

    @property
    def max_batch_bytes(self) -> int:
        """The size of a batch that it takes."""
        return self._log.config.max_message_bytes

    def append_records(self, records: Sequence[KeyAndValue]) -> None:
        with self._errors.answered(self._log.name):
            self._log.append_records(records, leader_epoch=0, now_ms=self._clock.now_ms(), quick=True)

    def when_durable(self, tell: Callable[[KafkaError | None], None]) -> None:
        """At once: it is the reply to the client that waits (`ClusterMetadata.flush`), whatever handler makes it."""
        tell(None)

    def read_records(self) -> Iterator[KeyAndValue]:
        for batch in self._log.batches(self._log.log_start_offset):
            for record in batch:
                yield record.key, record.value


class ClusterMetadata:
    """The current image, and the way to ask the controller for changes."""

    def __init__(
        self,
        config: BrokerConfig,
        logs: LogDirectory,
        *,
        clock: Clock,
        timers: Timers,
        new_uuid: Callable[[], UUID],
        random_source: random.Random,
        flusher: Flusher,
    ) -> None:
        self.log = logs.get(CLUSTER_METADATA, 0) or logs.create(CLUSTER_METADATA, 0, CLUSTER_METADATA_TOPIC_ID)
        self._flusher = flusher
        self.controller = Controller(
            cluster_id=logs.meta["cluster.id"],
            config=config,
            new_uuid=new_uuid,
            random=random_source,
        )
        self._runtime = StateMachineRuntime(
            "controller",
            self.controller,
            MetadataJournal(self.log, clock),
            clock=clock,
            timers=timers,
            replayed=self._tell_followers,
        )
        self._followers: list[Follower] = []
        self._producer_ids = ProducerIds()

    @property
    def image(self) -> ClusterImage:
        """The cluster at this moment."""
        return self.controller.image

    @property
    def must_flush(self) -> bool:
        """Whether there are changes that a power cut could take back."""
        return self._flusher.is_durable and self.log.recovery_point < self.log.end_offset

    async def flush(self) -> None:
        """Wait until all changes are on the disk. Raises KAFKA_STORAGE_ERROR."""
        await self._flusher.flush(self.log)

    def follow(self, follower: Follower) -> None:
        """Call `follower` after each change, in the order of registration."""
        self._followers.append(follower)

    def load(self) -> None:
        """Replay the metadata log, then tell the followers all of it as one change."""
        self._runtime.load()
        self._tell_followers()

    def change(self, decide: Callable[[Controller, ReplyTo], Decision], error_response: Callable[[KafkaError], R]) -> R:
        """Ask the controller, which answers at once; `error_response` is for a request that it refuses as a whole."""
        try:
            answer = self._runtime.ask(decide, error_response)
        except KafkaError as error:
            return error_response(error)
        assert not isinstance(answer, Awaitable), "the controller parks no request"
        return answer

    def execute(self, decision: Decision) -> bool:
        """As `StateMachineRuntime.execute`."""
        return self._runtime.execute(decision)

    def new_producer_id(self) -> int:
        """An id that this cluster has never given before. Raises KafkaError if no block of ids can be recorded."""
        while True:
            producer_id = self._producer_ids.take()
            if producer_id is not None:
                return producer_id
            self._producer_ids.refill(self.change(Controller.allocate_producer_ids, _raise))

    def _tell_followers(self) -> None:
        changes = self.controller.take_changes()
        for follower in self._followers:
            follower(self.controller.image, changes)


def _raise(error: KafkaError) -> ProducerIdsRecord:
    raise error

"""A controller with its log in memory, driven as the runtime drives it, for the tests of this directory."""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar, cast
from uuid import UUID

from kpy.cluster.controller import BrokerRegistration, Controller
from kpy.cluster.image import ClusterImage, Endpoint, PartitionImage, ResourceType, TopicImage
from kpy.config import BrokerConfig
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.alter_configs import AlterableConfig as Replacement
from kpy.protocol.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse
from kpy.protocol.messages.alter_configs import AlterConfigsResource as ReplacedResource
from kpy.protocol.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from kpy.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kpy.protocol.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kpy.protocol.messages.incremental_alter_configs import (
    AlterableConfig,
    AlterConfigsResource,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from kpy.protocol.metadata_records import ProducerIdsRecord
from kpy.protocol.schema import Message
from kpy.state_machine import Decision, ReplyTo

NODE = 1
LOG_DIR = UUID(int=77)
ZERO_ID = UUID(int=0)

R = TypeVar("R", bound=Message)


class Answer:
    """Where a decision's reply goes."""

    def __init__(self) -> None:
        self.message: Message | None = None

    def resolve(self, message: Message) -> None:
        assert self.message is None, "answered twice"
        self.message = message

    def fail(self, error: KafkaError) -> None:
        raise error


class ControllerContext:
    """Appends, replays and answers at once; `restart` loads a new controller from what was appended."""

    def __init__(self, settings: dict[str, str] | None = None, *, start: bool = True) -> None:
        self.config = BrokerConfig({"node.id": str(NODE), **(settings or {})})
        self.log: list[tuple[bytes | None, bytes | None]] = []
        self.last_records: Sequence[Message] = ()
        self._ids = iter(range(1000, 100_000))
        self.controller = self._new_controller()
        if start:
            self.start()

    def _new_controller(self) -> Controller:
        return Controller(
            cluster_id="cluster", config=self.config, new_uuid=lambda: UUID(int=next(self._ids)), random=Random(1)
        )

    def start(self) -> None:
        self.execute(self.controller.loaded(now_ms=0))
        registration = BrokerRegistration(
            incarnation_id=UUID(int=next(self._ids)),
            endpoints=[Endpoint("PLAINTEXT", "localhost", 9092)],
            rack=None,
            log_dirs=[LOG_DIR],
        )
        self.execute(self.controller.register_broker(registration))

    def load(self) -> None:
        """A new process, up to the end of the replay."""
        self.controller = self._new_controller()
        for key, value in self.log:
            record = self.controller.decode(key, value)
            assert record is not None
            self.controller.replay(record)

    def restart(self) -> None:
        self.load()
        self.start()

    def execute(self, decision: Decision) -> None:
        encoded = [self.controller.encode(record) for record in decision.records]
        self.log += encoded
        self.last_records = [record.value for record in decision.records if record.value is not None]
        for record, (key, value) in zip(decision.records, encoded, strict=True):
            decoded = self.controller.decode(key, value)
            assert decoded == record, "a record reads back as another"
            self.controller.replay(record)
        for reply in decision.replies:
            reply.to.resolve(reply.message)

    def ask(self, decide: Callable[[ReplyTo], Decision], answer_type: type[R]) -> R:
        answer = Answer()
        self.execute(decide(answer))
        assert isinstance(answer.message, answer_type)
        return answer.message

    @property
    def image(self) -> ClusterImage:
        return self.controller.image

    def topic(self, name: str) -> TopicImage:
        return self.image.topics[name]

    def partition(self, name: str, index: int = 0) -> PartitionImage:
        return self.topic(name).partitions[index]

    def configs(self, kind: ResourceType, name: str) -> dict[str, str]:
        return dict(self.image.config(kind, name))

    # Requests in one line

    def create(self, *topics: CreatableTopic, validate_only: bool = False) -> list[CreatableTopicResult]:
        request = CreateTopicsRequest(topics=list(topics), validate_only=validate_only)
        return self.ask(lambda to: self.controller.create_topics(request, to), CreateTopicsResponse).topics

    def created(self, *names: str) -> None:
        for result in self.create(*(topic(name) for name in names)):
            assert result.error_code == ErrorCode.NONE, result

    def delete(self, *places: str | UUID, version: int = 6) -> list[DeletableTopicResult]:
        if version < 6:
            request = DeleteTopicsRequest(topic_names=cast("list[str]", list(places)), timeout_ms=0)
        else:
            request = DeleteTopicsRequest(
                topics=[
                    DeleteTopicState(name=place, topic_id=ZERO_ID)
                    if isinstance(place, str)
                    else DeleteTopicState(name=None, topic_id=place)
                    for place in places
                ],
                timeout_ms=0,
            )
        return self.delete_with(request, version=version)

    def delete_with(self, request: DeleteTopicsRequest, *, version: int = 6) -> list[DeletableTopicResult]:
        return self.ask(lambda to: self.controller.delete_topics(request, version, to), DeleteTopicsResponse).responses

    def grow(self, *topics: CreatePartitionsTopic, validate_only: bool = False) -> list[tuple[str, int, str | None]]:
        request = CreatePartitionsRequest(topics=list(topics), timeout_ms=0, validate_only=validate_only)
        response = self.ask(lambda to: self.controller.create_partitions(request, to), CreatePartitionsResponse)
        return [(result.name, result.error_code, result.error_message) for result in response.results]

    def alter(self, *resources: AlterConfigsResource, validate_only: bool = False) -> list[tuple[int, str | None]]:
        request = IncrementalAlterConfigsRequest(resources=list(resources), validate_only=validate_only)
        response = self.ask(
            lambda to: self.controller.incremental_alter_configs(request, to), IncrementalAlterConfigsResponse
        )
        return [(result.error_code, result.error_message) for result in response.responses]

    def replace(self, kind: int, name: str, **configs: str | None) -> tuple[int, str | None]:
        resource = ReplacedResource(
            resource_type=kind,
            resource_name=name,
            configs=[Replacement(name=key.replace("_", "."), value=value) for key, value in configs.items()],
        )
        request = AlterConfigsRequest(resources=[resource], validate_only=False)
        response = self.ask(lambda to: self.controller.alter_configs(request, to), AlterConfigsResponse)
        return response.responses[0].error_code, response.responses[0].error_message

    def allocate(self) -> ProducerIdsRecord:
        return self.ask(self.controller.allocate_producer_ids, ProducerIdsRecord)


def topic(
    name: str,
    partitions: int = 1,
    replicas: int = 1,
    *,
    assignments: Sequence[tuple[int, Sequence[int]]] = (),
    **configs: str | None,
) -> CreatableTopic:
    return CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=replicas,
        assignments=[
            CreatableReplicaAssignment(partition_index=index, broker_ids=list(brokers))
            for index, brokers in assignments
        ],
        configs=[CreatableTopicConfig(name=key.replace("_", "."), value=value) for key, value in configs.items()],
    )


def more_partitions(name: str, count: int, assignments: Sequence[Sequence[int]] | None = None) -> CreatePartitionsTopic:
    return CreatePartitionsTopic(
        name=name,
        count=count,
        assignments=None
        if assignments is None
        else [CreatePartitionsAssignment(broker_ids=list(brokers)) for brokers in assignments],
    )


def changes(kind: int, name: str, *configs: tuple[str, int, str | None]) -> AlterConfigsResource:
    return AlterConfigsResource(
        resource_type=kind,
        resource_name=name,
        configs=[AlterableConfig(name=key, config_operation=op, value=value) for key, op, value in configs],
    )

"""DeleteTopics (API 20): remove topics, by name or by id."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since, until


class DeleteTopicState(Struct):
    """A topic: the name, or with a null name the id."""

    name: NullableString = field(default=None)
    topic_id: Uuid


class DeleteTopicsRequest(Request, api=ApiKey.DELETE_TOPICS, versions="1-6", flexible="4+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 2, 3: as 1
    - 4: flexible (KIP-482)
    - 5: as 4; THROTTLING_QUOTA_EXCEEDED may be answered (KIP-599)
    - 6: topics by name or id, instead of topic_names (KIP-516)
    """

    topics: Array[DeleteTopicState] = since(6)
    topic_names: Array[String] = until(5, ignorable=True)
    timeout_ms: Int32


class DeletableTopicResult(Struct):
    """What became of one topic; name null only for an unknown id."""

    name: NullableString = field(nullable="6+")
    topic_id: Uuid = since(6, ignorable=True)
    error_code: Int16
    error_message: NullableString = since(5, default=None, ignorable=True)


class DeleteTopicsResponse(Response, api=ApiKey.DELETE_TOPICS, versions="1-6", flexible="4+"):
    """Versions:

    - 2: as 1; sent before the broker throttles (KIP-219)
    - 3: as 1; TOPIC_DELETION_DISABLED (KIP-322)
    - 4: flexible (KIP-482)
    - 5: error_message (KIP-599)
    - 6: topic_id, and the name may be null (KIP-516)
    """

    throttle_time_ms: Int32 = field(default=0, ignorable=True)
    responses: Array[DeletableTopicResult]

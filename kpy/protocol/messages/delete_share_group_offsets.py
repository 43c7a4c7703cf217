"""DeleteShareGroupOffsets (API 92): an empty share group forgets topics (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field


class DeleteShareGroupOffsetsRequestTopic(Struct):
    """A topic."""

    topic_name: String


class DeleteShareGroupOffsetsRequest(Request, api=ApiKey.DELETE_SHARE_GROUP_OFFSETS, versions="0", flexible="0+"):
    """There is one version."""

    group_id: String
    topics: Array[DeleteShareGroupOffsetsRequestTopic]


class DeleteShareGroupOffsetsResponseTopic(Struct):
    """The result for one topic."""

    topic_name: String
    topic_id: Uuid
    error_code: Int16
    error_message: NullableString = field(default=None)


class DeleteShareGroupOffsetsResponse(Response, api=ApiKey.DELETE_SHARE_GROUP_OFFSETS, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString = field(default=None)
    responses: Array[DeleteShareGroupOffsetsResponseTopic]

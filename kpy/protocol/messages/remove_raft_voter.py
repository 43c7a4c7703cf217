"""RemoveRaftVoter (API 81): a controller is a voter of the KRaft quorum no longer (KIP-853)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Int16, Int32, NullableString, Uuid
from kpy.protocol.schema import Request, Response, field


class RemoveRaftVoterRequest(Request, api=ApiKey.REMOVE_RAFT_VOTER, versions="0", flexible="0+"):
    """There is one version."""

    cluster_id: NullableString
    voter_id: Int32
    voter_directory_id: Uuid


class RemoveRaftVoterResponse(Response, api=ApiKey.REMOVE_RAFT_VOTER, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString = field(ignorable=True)

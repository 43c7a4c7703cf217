"""AddRaftVoter (API 80): a controller becomes a voter of the KRaft quorum (KIP-853)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int16, Int32, NullableString, String, UInt16, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since


class Listener(Struct):
    """Where the voter is reached."""

    name: String
    host: String
    port: UInt16


class AddRaftVoterRequest(Request, api=ApiKey.ADD_RAFT_VOTER, versions="0-1", flexible="0+"):
    """Versions:

    - 1: ack_when_committed (KIP-1186)
    """

    cluster_id: NullableString
    timeout_ms: Int32
    voter_id: Int32
    voter_directory_id: Uuid
    listeners: Array[Listener]
    ack_when_committed: Bool = since(1, default=True)  # false: the leader answers once it has written the change itself


class AddRaftVoterResponse(Response, api=ApiKey.ADD_RAFT_VOTER, versions="0-1", flexible="0+"):
    """Versions:

    - 1: as 0
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString = field(ignorable=True)

"""DescribeDelegationToken (API 41): the tokens that the asker may see (KIP-48)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bytes, Int16, Int32, Int64, NullableArray, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class DescribeDelegationTokenOwner(Struct):
    """A principal whose tokens are of interest."""

    principal_type: String
    principal_name: String


class DescribeDelegationTokenRequest(Request, api=ApiKey.DESCRIBE_DELEGATION_TOKEN, versions="1-3", flexible="2+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 1: as 0
    - 2: flexible (KIP-482)
    - 3: as 2 (KIP-373 changed the response)
    """

    owners: NullableArray[DescribeDelegationTokenOwner]  # null: of all owners


class DescribedDelegationTokenRenewer(Struct):
    """A principal that may renew the token."""

    principal_type: String
    principal_name: String


class DescribedDelegationToken(Struct):
    """A token; its times are in ms."""

    principal_type: String
    principal_name: String
    token_requester_principal_type: String = since(3)
    token_requester_principal_name: String = since(3)
    issue_timestamp: Int64
    expiry_timestamp: Int64
    max_timestamp: Int64
    token_id: String
    hmac: Bytes
    renewers: Array[DescribedDelegationTokenRenewer]


class DescribeDelegationTokenResponse(Response, api=ApiKey.DESCRIBE_DELEGATION_TOKEN, versions="1-3", flexible="2+"):
    """Versions:

    - 1: sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    - 3: who asked for each token, besides whose it is (KIP-373)
    """

    error_code: Int16
    tokens: Array[DescribedDelegationToken]
    throttle_time_ms: Int32 = field(default=0)

"""CreateDelegationToken (API 38): a token that stands for who is authenticated (KIP-48)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bytes, Int16, Int32, Int64, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class CreatableRenewers(Struct):
    """A principal that may renew the token."""

    principal_type: String
    principal_name: String


class CreateDelegationTokenRequest(Request, api=ApiKey.CREATE_DELEGATION_TOKEN, versions="1-3", flexible="2+"):
    """Versions (0 left Kafka with 4.0, KIP-896):

    - 1: as 0
    - 2: flexible (KIP-482)
    - 3: the two fields of an owner who is not the requester (KIP-373)
    """

    owner_principal_type: NullableString = since(3)
    owner_principal_name: NullableString = since(3)
    renewers: Array[CreatableRenewers]
    max_lifetime_ms: Int64  # -1: what the broker is configured to allow


class CreateDelegationTokenResponse(Response, api=ApiKey.CREATE_DELEGATION_TOKEN, versions="1-3", flexible="2+"):
    """Versions:

    - 1: sent before the broker throttles (KIP-219)
    - 2: flexible (KIP-482)
    - 3: who asked for the token, besides whose it is (KIP-373)
    """

    error_code: Int16
    principal_type: String
    principal_name: String
    token_requester_principal_type: String = since(3)
    token_requester_principal_name: String = since(3)
    issue_timestamp_ms: Int64
    expiry_timestamp_ms: Int64
    max_timestamp_ms: Int64
    token_id: String
    hmac: Bytes
    throttle_time_ms: Int32 = field(default=0)

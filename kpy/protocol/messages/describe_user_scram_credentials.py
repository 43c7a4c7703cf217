"""DescribeUserScramCredentials (API 50): which SCRAM credentials users have (KIP-554)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int8, Int16, Int32, NullableArray, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class UserName(Struct):
    """A user of interest."""

    name: String


class DescribeUserScramCredentialsRequest(
    Request, api=ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS, versions="0", flexible="0+"
):
    """There is one version."""

    users: NullableArray[UserName]  # null or none: all


class CredentialInfo(Struct):
    """What may be told of a credential."""

    mechanism: Int8  # 1: SCRAM-SHA-256, 2: SCRAM-SHA-512
    iterations: Int32


class DescribeUserScramCredentialsResult(Struct):
    """The credentials of one user."""

    user: String
    error_code: Int16
    error_message: NullableString
    credential_infos: Array[CredentialInfo]


class DescribeUserScramCredentialsResponse(
    Response, api=ApiKey.DESCRIBE_USER_SCRAM_CREDENTIALS, versions="0", flexible="0+"
):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString
    results: Array[DescribeUserScramCredentialsResult]

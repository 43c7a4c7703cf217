"""AlterUserScramCredentials (API 51): SCRAM credentials are set or taken away (KIP-554).

The password never travels: the client salts it and sends what SCRAM makes of it.
"""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bytes, Int8, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field


class ScramCredentialDeletion(Struct):
    """A credential that shall go."""

    name: String
    mechanism: Int8  # 1: SCRAM-SHA-256, 2: SCRAM-SHA-512


class ScramCredentialUpsertion(Struct):
    """A credential that is new or replaces that of the same mechanism."""

    name: String
    mechanism: Int8
    iterations: Int32
    salt: Bytes
    salted_password: Bytes


class AlterUserScramCredentialsRequest(Request, api=ApiKey.ALTER_USER_SCRAM_CREDENTIALS, versions="0", flexible="0+"):
    """There is one version."""

    deletions: Array[ScramCredentialDeletion]
    upsertions: Array[ScramCredentialUpsertion]


class AlterUserScramCredentialsResult(Struct):
    """The result for one user, whatever was asked for it."""

    user: String
    error_code: Int16
    error_message: NullableString


class AlterUserScramCredentialsResponse(Response, api=ApiKey.ALTER_USER_SCRAM_CREDENTIALS, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    results: Array[AlterUserScramCredentialsResult]

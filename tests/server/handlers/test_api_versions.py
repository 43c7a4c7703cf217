"""ApiVersions: the table is what is served, features are what is behind it."""

import pytest

from kpy.cluster import features
from kpy.protocol.api_keys import ApiKey
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kpy.server.handlers import all_handlers
from kpy.server.handlers.api_versions import api_versions, unsupported_version_response
from tests.server.handlers.handler_context import HandlerContext


def ask(broker: HandlerContext, version: int, name: str = "test", release: str = "1.0") -> ApiVersionsResponse:
    request = (
        ApiVersionsRequest(client_software_name=name, client_software_version=release)
        if version >= 3
        else ApiVersionsRequest()
    )
    return broker.call(api_versions, request, version)


@pytest.mark.parametrize("version", range(5))
def test_the_table_is_the_registry(broker: HandlerContext, version: int) -> None:
    """Every API that has a handler is listed with the versions that are advertised, and no other."""
    response = ask(broker, version)
    assert response.error_code == ErrorCode.NONE
    assert {entry.api_key: (entry.min_version, entry.max_version) for entry in response.api_keys} == {
        key: (handler.advertised.minimum, handler.advertised.maximum) for key, handler in all_handlers().items()
    }


def test_what_kafka_advertises() -> None:
    """Produce is advertised from 0, and no version that Kafka marks unstable is."""
    advertised = {key: handler.advertised for key, handler in all_handlers().items()}
    assert (advertised[ApiKey.PRODUCE].minimum, advertised[ApiKey.PRODUCE].maximum) == (0, 13)
    assert advertised[ApiKey.INIT_PRODUCER_ID].maximum == 5


def test_features(broker: HandlerContext) -> None:
    """Finalized features come from the cluster; one that may be at level 0 is listed from version 4 on."""
    response = ask(broker, 4)
    assert {feature.name: feature.max_version_level for feature in response.finalized_features} == features.AT_FORMAT
    assert response.finalized_features_epoch == broker.image.offset
    assert {feature.name for feature in response.supported_features} == set(features.SUPPORTED)
    assert {feature.name for feature in ask(broker, 3).supported_features} == {features.METADATA_VERSION}


@pytest.mark.parametrize(("name", "release"), [("", "1"), ("-a", "1"), ("a", "1-"), ("a b", "1"), ("a", "1\n")])
def test_software_without_a_decent_name(broker: HandlerContext, name: str, release: str) -> None:
    """A software name or version that is none is INVALID_REQUEST, with an empty table (KIP-511)."""
    response = ask(broker, 3, name, release)
    assert (response.error_code, response.api_keys) == (ErrorCode.INVALID_REQUEST, [])


def test_the_answer_to_an_unknown_version() -> None:
    """It is in version 0, says UNSUPPORTED_VERSION, and lists ApiVersions itself."""
    response = unsupported_version_response()
    decoded = ApiVersionsResponse.decode(response.encode(0), 0)
    assert decoded.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert [(entry.api_key, entry.min_version, entry.max_version) for entry in decoded.api_keys] == [(18, 0, 4)]

"""The registry of declared APIs."""

import re
import subprocess
import sys

import pytest

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.messages import declared_apis, request_class, response_class


def test_classes_follow_from_the_key() -> None:
    """Every declared API has its request and its response, which know their key and have the same versions."""
    assert ApiKey.API_VERSIONS in declared_apis()
    for api in declared_apis():
        assert request_class(api).api is api
        assert response_class(api).api is api
        assert request_class(api).versions == response_class(api).versions
        assert request_class(api).flexible_since == response_class(api).flexible_since


def test_undeclared() -> None:
    """An API of which Kafka has messages and kpy has none is a KeyError."""
    undeclared = ApiKey.LEADER_AND_ISR
    assert undeclared not in declared_apis()
    with pytest.raises(KeyError):
        request_class(undeclared)


def test_declarations_are_loaded_on_first_use() -> None:
    """Asking which APIs there are loads none of them, and no code is generated before a message is."""
    script = (
        "import sys; from kpy.protocol.messages import declared_apis; assert declared_apis();"
        "import kpy.protocol.framing;"
        "assert 'kpy.protocol.messages.heartbeat' not in sys.modules;"
        "import kpy.protocol.messages.heartbeat;"
        "assert 'kpy.protocol.specialise' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("api", sorted(declared_apis()), ids=lambda api: api.name)
def test_version_notes(api: ApiKey) -> None:
    """Each API has a module of its own, which says of each of its versions after the first what that brought."""
    request = request_class(api)
    assert request.__module__ == response_class(api).__module__ == f"kpy.protocol.messages.{api.name.lower()}"
    noted: set[int] = set()
    for numbers in re.findall(r"(?m)^ *- ([\d, ]+?(?: to \d+)?):", request.__doc__ or ""):
        first, *others = map(int, re.findall(r"\d+", numbers))
        noted |= {first, *others}
        if " to " in numbers:
            noted |= set(range(first, others[-1]))

    assert set(request.versions) - {request.versions.minimum} <= noted

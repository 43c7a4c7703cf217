"""The fixtures that come with the package; the logic is in `kpy.testing.broker`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kpy.testing import Broker


@pytest.fixture
def kafka_broker() -> Iterator["Broker"]:
    """A fresh, empty broker on a free port of this machine, in memory, gone after the test."""
    from kpy.testing import Broker  # noqa: PLC0415 - a test run that uses no broker does not pay for trio

    with Broker() as broker:
        yield broker

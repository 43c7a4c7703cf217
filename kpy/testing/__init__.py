"""A broker for tests, in this process.

    with Broker() as broker:
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)

The pytest plugin that comes with the package offers the same as the fixture `kafka_broker`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kpy.testing.broker import Broker

__all__ = ["Broker"]


def __getattr__(name: str) -> Any:
    """Load the broker when it is asked for: every pytest run imports this package for its plugin."""
    if name != "Broker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kpy.testing.broker import Broker  # noqa: PLC0415 - see above

    return Broker

"""A broker for tests, in this process.

    with Broker() as broker:
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)

The pytest plugin that comes with the package offers the same as the fixture `kafka_broker`.
"""

from kpy.testing.broker import Broker

__all__ = ["Broker"]

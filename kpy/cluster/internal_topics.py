"""The topics that are created on demand, and with which numbers and configs."""

from kpy.cluster.topic_names import CONSUMER_OFFSETS
from kpy.config import BrokerConfig
from kpy.protocol.messages.create_topics import CreatableTopic, CreatableTopicConfig


def creatable_topic(name: str, config: BrokerConfig) -> CreatableTopic:
    """What to ask the controller for, for a topic that nobody has described (AutoTopicCreationManager)."""
    if name == CONSUMER_OFFSETS:
        return CreatableTopic(
            name=name,
            num_partitions=config.offsets_topic_num_partitions,
            replication_factor=config.offsets_topic_replication_factor,
            assignments=[],
            configs=[
                CreatableTopicConfig(name=key, value=value)
                for key, value in (
                    ("cleanup.policy", "compact"),
                    ("compression.type", "producer"),
                    ("segment.bytes", str(config.offsets_topic_segment_bytes)),
                )
            ],
        )
    return CreatableTopic(name=name, num_partitions=-1, replication_factor=-1, assignments=[], configs=[])

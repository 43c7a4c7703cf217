"""The versioned features of the cluster: what kpy supports, and what a new cluster starts with (KIP-584, KIP-778).

Clients change what they send by the finalized level, so a feature is listed here together with its behaviour and
never before.
"""

from collections.abc import Mapping
from types import MappingProxyType

METADATA_VERSION = "metadata.version"
ELIGIBLE_LEADER_REPLICAS = "eligible.leader.replicas.version"
GROUP_VERSION = "group.version"

SUPPORTED: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        ELIGIBLE_LEADER_REPLICAS: (0, 1),
        GROUP_VERSION: (0, 1),  # 1: the consumer group protocol (KIP-848)
        METADATA_VERSION: (7, 30),  # 3.3-IV3, Kafka's own oldest, to 4.3-IV0
    }
)
"""Name -> lowest and highest level."""

KAFKAS_OTHERS = frozenset({"share.version", "streams.version", "transaction.version"})
"""Features of Kafka 4.3 that are not supported: their level is 0, and can be set to that."""

AT_FORMAT: Mapping[str, int] = MappingProxyType({ELIGIBLE_LEADER_REPLICAS: 1, GROUP_VERSION: 1, METADATA_VERSION: 30})
"""The levels that a new cluster is formatted with, as Kafka 4.3 formats one."""

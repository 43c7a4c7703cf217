"""What handlers use: one object that names the parts of the broker."""

from dataclasses import dataclass

from kpy.config import BrokerConfig
from kpy.server.clock import Clock
from kpy.server.cluster_metadata import ClusterMetadata
from kpy.server.fetch_sessions import FetchSessions
from kpy.server.flushing import Flusher
from kpy.server.groups import Groups
from kpy.server.maintenance import Checkpoints
from kpy.server.partitions import Partitions
from kpy.server.rounds import Rounds
from kpy.server.sending import Sending
from kpy.server.workers import RunInWorker


@dataclass(slots=True, kw_only=True)
class Services:
    """The parts of one running broker. `stopping` tells parked requests to answer with what there is."""

    config: BrokerConfig
    clock: Clock
    cluster: ClusterMetadata
    partitions: Partitions
    groups: Groups
    rounds: Rounds
    fetch_sessions: FetchSessions
    flusher: Flusher
    checkpoints: Checkpoints
    read_in_worker: RunInWorker
    sending: Sending
    stopping: bool = False

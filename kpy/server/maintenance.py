"""What has to be done from time to time, whoever asks or does not: checkpoints, and producers long unseen.

A checkpoint tells the next start where logs begin and how far they are on the disk. Each round looks at one log and
then lets others run, so that no request waits for all of them.
"""

import logging
from collections.abc import Callable

import trio

from kpy.config import BrokerConfig
from kpy.server.clock import Clock
from kpy.storage.log_directory import LogDirectory

logger = logging.getLogger(__name__)


async def write_checkpoints_forever(logs: LogDirectory, config: BrokerConfig) -> None:
    """Every `log.flush.offset.checkpoint.interval.ms`. A disk that refuses is tried again the next time."""
    while True:
        await trio.sleep(config.log_flush_offset_checkpoint_interval_ms / 1000)
        try:
            logs.checkpoint()
        except OSError as error:
            logger.error("cannot write the checkpoints: %s", error)


async def expire_producers_forever(logs: LogDirectory, config: Callable[[], BrokerConfig], clock: Clock) -> None:
    """Forget the sequence numbers of producers that have not written for `producer.id.expiration.ms`."""
    while True:
        await trio.sleep(config().producer_id_expiration_check_interval_ms / 1000)
        for log in list(logs.logs().values()):
            log.producers.expire(clock.now_ms(), config().producer_id_expiration_ms)
            await trio.lowlevel.checkpoint()

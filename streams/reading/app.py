"""The Faust app with the settings that were measured to lose nothing; agents are joined to it elsewhere."""

import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.errors import TopicError
from streams.records.positions import TopicPartition
from streams.settings import Settings

if TYPE_CHECKING:
    import faust

__all__ = ["WORKER_GROUP", "build_app"]

WORKER_GROUP = "reelstream-worker"


def build_app(
    settings: Settings,
    end: Callable[[TopicError], Any],
    applied: Callable[[TopicPartition], Awaitable[int]],
    *,
    instance: str | None = None,
) -> "faust.App":
    """Return an app of the worker's consumer group, with no agents yet.

    Parameters
    ----------
    settings : addresses and prefix.
    end : ends the process where Kafka holds what makes going on impossible; called with what that is.
    applied : returns the last offset of a topic partition that the state knows, -1 for none.
    instance : static group membership id, unique per worker; a restarted worker gets its partitions back
        without a rebalance.
    """
    os.environ.setdefault("NO_CYTHON", "1")  # Faust reads it on import; its pure-Python streams are 40 % faster
    import faust  # noqa: PLC0415 - after the line above

    from streams.reading.driver import drive  # noqa: PLC0415 - imports Faust
    from streams.reading.resuming import PatientTables  # noqa: PLC0415 - same

    app = faust.App(
        settings.prefix + WORKER_GROUP,
        broker=";".join(f"kafka://{address.strip()}" for address in settings.kafka.split(",")),
        **settings.security.faust(),
        consumer_group_instance_id=instance,
        store="memory://",
        TableManager=PatientTables,
        datadir=Path(tempfile.gettempdir()) / "reelstream",  # Faust makes empty folders for tables; we have none
        key_serializer="raw",
        value_serializer="raw",
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        web_enabled=False,
        stream_wait_empty=True,
        stream_buffer_maxsize=4096,
        stream_recovery_delay=0,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=512,  # of one fetch; a batch is made of several
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        broker_rebalance_timeout=10.0,
        broker_request_timeout=30.0,
        broker_commit_interval=1.0,
        producer_linger=0.0,  # the records of a batch are handed over in one turn of the loop, so they leave together
        producer_acks=-1,
        producer_compression_type=settings.compression_type,
        producer_max_batch_size=256 * 1024,  # a full batch waits for the one before; ten lists would fill the default
        worker_redirect_stdouts=False,
    )
    drive(app, end, applied)
    return app

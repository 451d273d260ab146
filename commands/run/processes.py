"""``reelstream worker``, ``trainer`` and ``health``: the long-running processes and their signs of life."""

import logging
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, NoReturn

import click
import orjson

from commands.parts.options import address_options, given_settings, partitions_option
from commands.parts.running import exit_after, log_level_option, log_to_stderr, lower_priority, run_until_stopped
from model.ranking.modes import ModeConfig
from streams.errors import SettingsError, StateError
from streams.settings import Settings

__all__ = ["STOP_S", "health", "only_one", "require_servers", "trainer", "worker"]

FENCED_STATUS = 70  # EX_SOFTWARE of sysexits, as a worker ends with on any error
OLDEST_REDIS = 7  # the first with functions
DEFAULT_MODES = ModeConfig()  # as measured
ASK_S = 2.0  # a local network answers within milliseconds
MAX_EVICTIONS = 10  # one or two follow a restarted broker or a pause of this process
EVICTIONS_WITHIN_S = 30.0
STOP_S = 9.0  # a drained batch takes a tenth of a second; whatever takes longer than this hangs


@click.command()
@address_options
@partitions_option
@click.option("--id", "instance", help="Static group membership: a name that is this worker's alone.")
@click.option(
    "--personalize-at",
    type=click.IntRange(min=1),
    default=DEFAULT_MODES.personalize_at,
    show_default=True,
    help="Known items that make a user personalised.",
)
@click.option(
    "--explore",
    type=click.IntRange(0, 10),
    default=0,
    show_default=True,
    help="Last places of each list that are filled by chance.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Cores that exact scoring of a batch may use.",
)
@log_level_option
def worker(*, instance: str | None, log_level: str, **given: Any) -> None:
    """Answer events with lists until stopped; start as many as there are partitions to share."""
    settings = given_settings(given)
    log_to_stderr(log_level)
    _require_faiss(settings)
    require_servers("worker", settings)
    logging.getLogger("aiokafka.consumer.group_coordinator").addHandler(_Expelled(instance))
    if instance is None:
        _work(settings, None, log_level, **given)
        return
    with only_one("worker", settings, instance, "end it first, or choose another --id"):
        _work(settings, instance, log_level, **given)


def _work(
    settings: Settings, instance: str | None, log_level: str, *, personalize_at: int, explore: int, threads: int
) -> None:
    """Run the worker until a signal ends it."""
    os.environ.setdefault("NO_CYTHON", "1")  # before Faust is imported; see streams/reading/app.py
    import faust  # noqa: PLC0415 - heavy
    import torch  # noqa: PLC0415 - heavy

    from agents.worker.app import WorkerConfig, build_worker  # noqa: PLC0415 - same
    from agents.worker.refresh import UpkeepConfig  # noqa: PLC0415 - imports the two above
    from streams.serving.lists import ServingConfig  # noqa: PLC0415 - same

    torch.set_num_threads(1)  # a batch is divided between users; torch's own threads only wait for each other
    modes = ModeConfig(personalize_at, min(DEFAULT_MODES.demote_below, personalize_at))
    config = WorkerConfig(modes=modes, serving=ServingConfig(explore=explore), upkeep=UpkeepConfig(threads=threads))
    app = build_worker(settings, config, instance)

    class Process(faust.Worker):  # type: ignore[misc]  # Faust ships no types
        def install_signal_handlers(self) -> None:
            for sign in (signal.SIGTERM, signal.SIGINT):
                self.loop.add_signal_handler(sign, self.end, sign)

        def end(self, sign: signal.Signals) -> None:
            exit_after(STOP_S)
            self._schedule_shutdown(sign)

    Process(
        app, loglevel=log_level, redirect_stdouts=False, override_logging=False, quiet=True
    ).execute_from_commandline()


@click.command()
@address_options
@partitions_option
@click.option(
    "--every-events", type=click.IntRange(min=1), default=2000, show_default=True, help="New events that start a round."
)
@click.option(
    "--every-s",
    type=click.FloatRange(min=0.0),
    default=20.0,
    show_default=True,
    help="Seconds after which fewer will do.",
)
@click.option(
    "--first-events",
    type=click.IntRange(min=2),
    default=2000,
    show_default=True,
    help="Events needed for a first version.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Cores that training may use."
)
@log_level_option
def trainer(*, threads: int, log_level: str, **given: Any) -> None:
    """Fine-tune on the events until stopped, and promote what is not worse; run one per installation."""
    settings = given_settings(given)
    log_to_stderr(log_level)
    require_servers("trainer", settings)
    with only_one("trainer", settings, "trainer", "an installation has one: end it first"):
        status = _learn(settings, threads, given)
    logging.shutdown()
    os._exit(status)  # an ordinary exit would wait for a training in its thread; what is not stored is read again


def _learn(settings: Settings, threads: int, given: dict[str, Any]) -> int:
    """Run the trainer until a signal ends it, and return the exit status; a training in its thread goes on."""
    import torch  # noqa: PLC0415 - heavy

    from agents.trainer.trainer import Trainer, TrainerConfig  # noqa: PLC0415 - imports torch

    torch.set_num_threads(threads)
    lower_priority()

    return run_until_stopped(lambda: Trainer(settings, TrainerConfig(**given)).run(), STOP_S)


@click.command()
@address_options
@click.argument("role", type=click.Choice(["worker", "trainer", "archiver", "scorekeeper"]))
@click.option("--host", default=socket.gethostname, help="Only processes of this host. [this one]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def health(*, role: str, host: str, as_json: bool, **given: Any) -> None:
    """Exit with 0 if a process of this role and host has shown a sign of life lately, else with 1.

    Also with 1 if one of them says that it lives but is at fault.
    """
    from streams.redis.connection import answered, connect_to_read  # noqa: PLC0415 - keeps help fast
    from streams.redis.heartbeat import find_alive  # noqa: PLC0415 - same

    settings = given_settings(given)
    with answered("health"), connect_to_read(settings.redis) as client:
        found = find_alive(client, role)
    alive = {name: report for name, report in found.items() if name.rpartition(":")[0] == host}
    if as_json:
        click.echo(orjson.dumps({"role": role, "alive": alive}).decode())
    elif alive:
        for name, report in alive.items():
            click.echo(f"{role} {name}: " + ", ".join(f"{key} {value}" for key, value in report.items()))
    else:
        click.echo(f"no {role} of {host} has shown a sign of life lately", err=True)
    faults = [f"{role} {name}: {report['fault']}" for name, report in alive.items() if report.get("fault")]
    for fault in faults:
        click.echo(fault, err=True)
    sys.exit(0 if alive and not faults else 1)


def require_servers(role: str, settings: Settings) -> None:
    """Raise StreamError unless the topics are there and Redis serves, before anything heavy is imported."""
    from streams.kafka.topics import verify_topics  # noqa: PLC0415 - same
    from streams.serving.known_topics import recognise_topics  # noqa: PLC0415 - keeps help fast

    verify_topics(settings)
    _require_redis(role, settings)
    recognise_topics(settings)


def _require_faiss(settings: Settings) -> None:
    """Raise SettingsError if every list is to come from an index that cannot be built."""
    if settings.retrieval == "faiss" and find_spec("faiss") is None:
        raise SettingsError(
            "worker: REELSTREAM_RETRIEVAL=faiss requires the package faiss, got none; install it with "
            "pip install 'reelstream[large]', or set REELSTREAM_RETRIEVAL to exact"
        )


def _require_redis(role: str, settings: Settings) -> None:
    """Raise StateError unless every primary is new enough, allows what the role does, and keeps what it is given."""
    from redis.exceptions import NoPermissionError  # noqa: PLC0415 - keeps help fast

    from streams.redis.connection import answered, connect_to_read  # noqa: PLC0415 - same
    from streams.state.eviction import require_no_eviction  # noqa: PLC0415 - same
    from streams.state.rights import primaries, require_rights  # noqa: PLC0415 - same

    with connect_to_read(settings.redis, ASK_S) as client:
        with answered(f"{role}: starting"), suppress(NoPermissionError):  # which is told with the other rights
            for server in primaries(client):
                found: Any = server.info("server")
                version = str(found["redis_version"])
                if int(version.partition(".")[0]) < OLDEST_REDIS:
                    raise StateError(
                        f"{role}: Redis {OLDEST_REDIS} or newer (or Valkey) is required for its functions, "
                        f"got version {version!r}; point REELSTREAM_REDIS at a newer server"
                    )
        require_rights(client, role, lambda line: click.echo(f"reelstream: {line}", err=True))
        require_no_eviction(client, role, is_allowed=settings.allow_eviction)


@contextmanager
def only_one(role: str, settings: Settings, name: str, cure: str) -> Iterator[None]:
    """Hold the lease of a name during the block; raise StateError if another living process holds it."""
    from streams.redis.connection import connect_to_read  # noqa: PLC0415 - keeps help fast
    from streams.redis.lease import Lease  # noqa: PLC0415 - same

    with connect_to_read(settings.redis) as client:
        lease = Lease(client, role, settings.prefix + name, cure)
        lease.take()
        with lease.kept(_fenced):
            yield


class _Expelled(logging.Handler):
    """Ends a worker that Kafka refuses, or puts out of its group again and again, so that it does nothing for ever.

    Another one that joins under the same id is the usual cause; the lease sees that first where both use one Redis.
    Kafka's client does not treat it as an error: either it joins again, which puts the other out, for ever, or what
    coordinates it ends while the rest of the process goes on. Its log is the only place where it says so.
    """

    def __init__(self, instance: str | None) -> None:
        super().__init__(logging.WARNING)
        self._instance = instance
        self._times: deque[float] = deque(maxlen=MAX_EVICTIONS)

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if said.startswith("Unexpected error"):
            self._end(f"got {said!r} from Kafka; if it stays so after a start, ")
        elif self._instance is not None and "member_id was not recognized" in said:
            self._times.append(record.created)
            if len(self._times) == MAX_EVICTIONS and self._times[-1] - self._times[0] < EVICTIONS_WITHIN_S:
                self._end(
                    f"got put out of it {MAX_EVICTIONS} times within {EVICTIONS_WITHIN_S:g} s "
                    "by one with another Redis; "
                )

    def _end(self, got: str) -> None:
        if self._instance is None:
            _fenced(StateError(f"worker: Kafka must take it into its consumer group, {got}see the log of the brokers"))
        required = f"worker {self._instance!r} must be the only one of its id in its consumer group"
        _fenced(StateError(f"{required}, {got}choose another --id or REELSTREAM_PREFIX"))


def _fenced(error: StateError) -> NoReturn:
    """End at once: whoever has the name now has the partitions too, and what is not acknowledged is theirs."""
    click.echo(f"reelstream: {error}", err=True)
    logging.shutdown()
    os._exit(FENCED_STATUS)

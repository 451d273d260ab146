"""``reelstream worker``: the process that answers events with lists."""

import logging
import os
import signal
from collections import deque
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from commands.parts.options import (
    address_options,
    diversity_options,
    given_settings,
    impression_discount_option,
    metrics_address,
    metrics_options,
    partitions_option,
)
from commands.parts.running import STOP_S, exit_after, limit_threads, log_level_option, log_to_stderr
from commands.parts.starting import end_fenced, only_one, require_servers, tracing_of
from model.ranking.modes import ModeConfig
from streams.errors import SettingsError, StateError
from streams.metrics.address import MetricsAddress
from streams.settings import Settings

if TYPE_CHECKING:
    from agents.worker.queries import QueryReading
    from streams.tracing.carrying import TraceCarrier

__all__ = ["worker"]

DEFAULT_MODES = ModeConfig()  # as measured
DEFAULT_EXPOSE = 0.1  # of the lists; benchmarks/learning/exposure.py says what that costs and finds
MAX_EVICTIONS = 10  # one or two follow a restarted broker or a pause of this process
EVICTIONS_WITHIN_S = 30.0


@click.command()
@address_options
@partitions_option
@click.option("--id", "instance", help="Static group membership: a name that is this worker's alone.")
@click.option(
    "--personalize-at",
    type=click.IntRange(min=1),
    help="Known items that make a user personalised. By default a version says from where on its lists hit more.",
)
@click.option(
    "--explore",
    type=click.IntRange(0, 10),
    default=0,
    show_default=True,
    help="Last places of each list that are filled by chance.",
)
@click.option(
    "--expose",
    type=click.FloatRange(0.0, 1.0),
    default=DEFAULT_EXPOSE,
    show_default=True,
    metavar="SHARE",
    help="Share of the lists whose last place goes to a new item.",
)
@diversity_options
@impression_discount_option
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Cores that exact scoring of a batch may use.",
)
@click.option(
    "--queries",
    type=click.Choice(["auto", "embedding", "tfidf"]),
    default="auto",
    show_default=True,
    help="What compares queries in words with items: sentence embeddings or shared words. auto: what is installed.",
)
@metrics_options
@log_level_option
def worker(*, instance: str | None, log_level: str, **given: Any) -> None:
    """Answer events with lists until stopped.

    Several workers share the partitions; more workers than partitions are of no use.
    """
    settings = given_settings(given)
    log_to_stderr(log_level)
    address, tracing = metrics_address(given), tracing_of("worker")
    _require_faiss(settings)
    if given["queries"] == "embedding":
        from streams.sentence_weights import require_encoder

        require_encoder()
    require_servers("worker", settings)
    logging.getLogger("aiokafka.consumer.group_coordinator").addHandler(_ExpulsionHandler(instance))
    if instance is None:
        _work(settings, None, log_level, address, tracing, **given)
        return
    with only_one("worker", settings, instance, "end it first, or choose another --id"):
        _work(settings, instance, log_level, address, tracing, **given)


def _work(
    settings: Settings,
    instance: str | None,
    log_level: str,
    address: MetricsAddress | None,
    tracing: "TraceCarrier",
    *,
    personalize_at: int | None,
    explore: int,
    expose: float,
    mmr: float,
    calibration: float,
    impression_discount: float,
    threads: int,
    queries: "QueryReading",
) -> None:
    """Run the worker until a signal ends it."""
    os.environ.setdefault("NO_CYTHON", "1")  # before Faust is imported; see streams/reading/app.py
    import faust

    from agents.worker.app import WorkerConfig, build_worker
    from agents.worker.refresh import RefreshConfig
    from model.reranking.diversified import DiversityConfig
    from streams.metrics.endpoint import process_registry, serve_metrics
    from streams.metrics.loop_life import LoopLife
    from streams.serving.lists import ServingConfig
    from streams.wording.endpoint import WordingEndpoint

    limit_threads(1)  # a batch is divided between users; the threads of a product only wait for each other
    modes = DEFAULT_MODES if personalize_at is None else ModeConfig.fixed(personalize_at)
    diversity = DiversityConfig(mmr, calibration, impression_discount)
    serving = ServingConfig(explore=explore, expose=expose, diversity=diversity)
    config = WorkerConfig(
        queries=queries,
        modes=modes,
        serving=serving,
        refresh=RefreshConfig(threads=threads),
        wording=WordingEndpoint.from_environment(),
    )
    registry = process_registry("worker")
    life = LoopLife()
    serve_metrics("worker", registry, address, life)
    app = build_worker(settings, config, instance, registry, tracing)

    class Process(faust.Worker):  # type: ignore[misc]  # Faust ships no types
        def install_signal_handlers(self) -> None:
            for sign in (signal.SIGTERM, signal.SIGINT):
                self.loop.add_signal_handler(sign, self.end, sign)

        def end(self, sign: signal.Signals) -> None:
            exit_after(STOP_S)
            self._schedule_shutdown(sign)

    process = Process(app, loglevel=log_level, redirect_stdouts=False, override_logging=False, quiet=True)
    process.spinner = None  # it writes escapes of a terminal, also into files
    process.loop.call_soon(life.begin)
    process.execute_from_commandline()


def _require_faiss(settings: Settings) -> None:
    """Raise SettingsError if every list is to come from an index that cannot be built."""
    if settings.retrieval in {"faiss", "faiss-tower"} and find_spec("faiss") is None:
        raise SettingsError(
            f"worker: REELSTREAM_RETRIEVAL={settings.retrieval} requires the package faiss, got none; install it with "
            "pip install 'reelstream[large]', or set REELSTREAM_RETRIEVAL to exact"
        )


class _ExpulsionHandler(logging.Handler):
    """Ends a worker that Kafka refuses, or puts out of its group again and again; it would live on and do nothing.

    The usual cause is another worker under the same id; the lease sees that first where both use one Redis. Kafka's
    client takes it for no error. Either it joins again, which puts the other out, and so on for ever, or its
    coordinator ends while the rest of the process goes on. It says so in its log and nowhere else.
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
            end_fenced(
                StateError(f"worker: Kafka must take it into its consumer group, {got}see the log of the brokers")
            )
        required = f"worker {self._instance!r} must be the only one of its id in its consumer group"
        end_fenced(StateError(f"{required}, {got}choose another --id or REELSTREAM_PREFIX"))

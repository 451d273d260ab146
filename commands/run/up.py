"""``reelstream up``: everything in one terminal, for a person's own producers."""

import contextlib
import json
import os
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from commands.parts.children import (
    NO_API,
    api_address,
    api_process,
    await_alive,
    scorekeeper_process,
    trainer_process,
    worker_process,
)
from commands.parts.options import address_options, given_settings
from commands.parts.telling import waiting
from streams.errors import StackError
from streams.kinds import KINDS_VARIABLE
from streams.security import KafkaSecurity
from streams.settings import VARIABLES, Settings, without_password
from streams.stack.process import Server, last_lines

__all__ = ["up"]

EXAMPLE = "examples/send_events.py"  # in the folder of the sources
STOP_S = 12.0  # a worker drains within 9
PASSWORD_VARIABLE = "REELSTREAM_KAFKA_SASL_PASSWORD"  # noqa: S105 - its name
MAX_RESTARTS = 5  # of one process within the window
WINDOW_S = 600.0


@click.command()
@address_options
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the stack's records and state, and of the models. [the user's data folder]",
)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Workers to start.")
@click.option("--api/--no-api", "has_api", default=True, show_default=True, help="Whether to answer over HTTP.")
def up(*, data: Path | None, workers: int, has_api: bool, **given: Any) -> None:
    """Run everything in one terminal until Ctrl-C.

    That is the stack, the topics, workers, a trainer, a scorekeeper and the HTTP API. Kafka and Redis are started only
    where none is given.
    """
    from streams.kafka.topics import create_topics
    from streams.settings import data_folder
    from streams.stack import running_stack

    folder = (data or data_folder() / "up").resolve()
    given["registry"] = given["registry"] or os.environ.get(VARIABLES["registry"]) or str(folder / "models")
    kafka = given.pop("kafka") or os.environ.get(VARIABLES["kafka"])
    redis = given.pop("redis") or os.environ.get(VARIABLES["redis"])
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), running_stack(folder, kafka=kafka, redis=redis) as addresses:
        settings = given_settings(given | {"kafka": addresses.kafka, "redis": addresses.redis})
        if kafka is None:  # the local one lets everybody in, whatever the variables say of another
            settings = replace(settings, security=KafkaSecurity())
        create_topics(settings)
        address = api_address(folder) if has_api else None
        with _processes(settings, folder, workers, address) as processes:
            wanted = {"worker": workers, "trainer": 1, "scorekeeper": 1, "api": 0 if address is None else 1}
            with waiting("starting workers, trainer, scorekeeper and api"):
                await_alive(settings, wanted, processes)
            if has_api:
                click.echo(NO_API if address is None else f"api     {address}")
            _tell(settings, folder)
            _hold(processes)
    click.echo(f"ended; what it kept is in {folder}")


@contextlib.contextmanager
def _processes(settings: Settings, folder: Path, workers: int, api: str | None) -> Iterator[list[Server]]:
    """Run workers, a trainer, a scorekeeper and maybe an API for the length of a ``with`` block."""
    from streams.stack.ports import settle_ports

    names = [*(f"worker-{n}" for n in range(workers)), "trainer", "scorekeeper", *(() if api is None else ("api",))]
    ports = settle_ports(folder / "metrics-ports.json", names)
    told = {name: ("--metrics-port", str(port)) for name, port in ports.items()}
    processes = [
        worker_process(settings, folder / f"{name}.log", "--id", f"up-{n}", *told[name])
        for n, name in enumerate(names[:workers])
    ]
    processes.append(trainer_process(settings, folder / "trainer.log", *told["trainer"]))
    processes.append(scorekeeper_process(settings, folder / "scorekeeper.log", *told["scorekeeper"]))
    if api is not None:
        processes.append(api_process(settings, folder / "api.log", api, *told["api"]))
    click.echo("metrics " + " ".join(f"{name}=http://127.0.0.1:{port}/metrics" for name, port in ports.items()))
    try:
        for process in processes:
            process.start()
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.stop(STOP_S)


def _tell(settings: Settings, folder: Path) -> None:
    redis = without_password(settings.redis)
    click.echo(f"kafka   {settings.kafka}\nredis   {redis}\nmodels  {settings.registry}\nlogs    {folder}\n")
    click.echo(
        f"In another terminal:\n\n{_activation()}{_export(settings)}\npython {EXAMPLE}\nreelstream recommend ann\n"
    )
    click.echo("In a producer of your own, where each event gets an event_id of its own:\n")
    click.echo(_producer_lines(settings) + "\n")
    click.echo("Ctrl-C ends everything.")


def _producer_lines(settings: Settings) -> str:
    """Return Python for the two usual clients, each with the partitioner that keeps a user's events together."""
    from streams.kafka.topics import WATCHES

    event = {"event_id": "e1", "user_id": "ann", "item_id": "1", "ts": time.time_ns() // 1_000_000, "progress": 0.9}
    topic, value = settings.prefix + WATCHES, json.dumps(event)
    confluent = {"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random"}
    python, others = _security_lines(settings.security)
    return "\n".join(
        (
            *(["import os"] if settings.security.password else []),
            "# kafka-python",
            "from kafka import KafkaProducer",
            f"producer = KafkaProducer(bootstrap_servers={settings.kafka_addresses!r}{python})",
            f"producer.send({topic!r}, key=b'ann', value={value.encode()!r})",
            "producer.flush()",
            "",
            "# confluent-kafka, with the partitioner of the other clients",
            "from confluent_kafka import Producer",
            f"producer = Producer({confluent!r}{others})",
            f"producer.produce({topic!r}, key='ann', value={value!r})",
            "producer.flush()",
        )
    )


def _security_lines(security: KafkaSecurity) -> tuple[str, str]:
    """Return what both clients are told of a secured Kafka; the password is read from its variable."""
    if security.protocol == "PLAINTEXT":
        return "", ""
    pairs = [
        (ours, theirs, repr(value))
        for ours, theirs, value in (
            ("security_protocol", "security.protocol", security.protocol),
            ("sasl_mechanism", "sasl.mechanism", security.mechanism),
            ("sasl_plain_username", "sasl.username", security.username),
            ("ssl_cafile", "ssl.ca.location", security.cafile),
            ("ssl_certfile", "ssl.certificate.location", security.certfile),
            ("ssl_keyfile", "ssl.key.location", security.keyfile),
        )
        if value is not None
    ]
    if security.password:
        pairs.append(("sasl_plain_password", "sasl.password", f"os.environ[{PASSWORD_VARIABLE!r}]"))
    # With tokens a client takes a provider of them, which is the producer's own.
    token = ", sasl_oauth_token_provider=your_tokens" if security.tokens is not None else ""
    other_token = " | {'oauth_cb': your_tokens}" if security.tokens is not None else ""
    python = "".join(f", {ours}={value}" for ours, _, value in pairs)
    return python + token, " | {" + ", ".join(f"{theirs!r}: {value}" for _, theirs, value in pairs) + "}" + other_token


def _activation() -> str:
    """Return the line that puts `reelstream` and its Python on another terminal's path, where that is needed."""
    script = Path(sys.prefix) / "bin" / "activate"
    return f"source {shlex.quote(str(script))}\n" if sys.prefix != sys.base_prefix and script.exists() else ""


def _export(settings: Settings) -> str:
    """Return the shell's line that gives another terminal what it must know, without an address with a password."""
    found = {VARIABLES["kafka"]: settings.kafka, VARIABLES["registry"]: settings.registry}
    if settings.redis == without_password(settings.redis):
        found[VARIABLES["redis"]] = settings.redis
    if settings.prefix:
        found[VARIABLES["prefix"]] = settings.prefix
    if settings.keep_repeats:
        found[VARIABLES["keep_repeats"]] = "1"
    if settings.kinds.file:
        found[KINDS_VARIABLE] = settings.kinds.file
    return "export " + " ".join(f"{name}={shlex.quote(value)}" for name, value in found.items())


def _hold(processes: list[Server], every_s: float = 1.0) -> None:
    """Wait for Ctrl-C; a process that ends is started again, and one that keeps ending ends everything."""
    restarts: Counter[int] = Counter()
    forgotten_at = time.monotonic()
    while True:
        time.sleep(every_s)
        if time.monotonic() - forgotten_at > WINDOW_S:
            restarts.clear()
            forgotten_at = time.monotonic()
        for n, process in enumerate(processes):
            if process.identity is not None:
                continue
            restarts[n] += 1
            if restarts[n] > MAX_RESTARTS:
                raise StackError(
                    f"up: {process.name} must stay up, got {restarts[n]} ends, the latest with "
                    f"{process.how_it_ended()}; the last lines of {process.log}:\n"
                    f"{last_lines(process.log)}"
                )
            click.echo(
                f"{process.name} ended with {process.how_it_ended()} and is started again; its last line in "
                f"{process.log}:\n{process.last_words(1)}",
                err=True,
            )
            process.start()

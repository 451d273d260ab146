"""A Kafka that takes connections and does not answer: said while it lasts, also by processes with nothing to read."""

import asyncio
import contextlib
import re

from agents.scorekeeper.scorekeeper import Scorekeeper, ScorekeeperConfig
from agents.trainer.trainer import Trainer, TrainerConfig
from streams.kafka.cluster_watch import ClusterWatchConfig
from streams.stack import open_stack

QUICK = ClusterWatchConfig(every_s=0.2, limit_s=0.5, away_s=1.0, again_s=1.0)


async def test_idle_processes_say_that_kafka_is_frozen_and_back(install, stack, tmp_path, until, caplog):
    """Stopped by SIGSTOP, the broker is unavailable to idle processes, with its age, until it goes on."""
    with open_stack(tmp_path / "stack", redis=stack.redis) as own:
        installation = install(kafka=own.addresses.kafka)
        installation.producer.close(10)  # nothing is sent, and it does not outlive its broker well
        [broker] = own.brokers
        trainer = Trainer(installation.settings, TrainerConfig(watch=QUICK))
        keeper = Scorekeeper(installation.settings, ScorekeeperConfig(watch=QUICK))
        running = [asyncio.create_task(one.run()) for one in (trainer, keeper)]

        def lines(role, event):
            return [
                record.getMessage()
                for record in caplog.records
                if record.getMessage().startswith(event) and getattr(record, "role", None) == role
            ]

        def away():
            return [
                report["kafka_away_s"] for role in ("trainer", "scorekeeper") for report in installation.reports(role)
            ]

        try:
            await asyncio.to_thread(until, lambda: away() == [None, None], 30, away)
            broker.pause()
            try:
                said_twice = lambda role: len(lines(role, "kafka.unavailable")) >= 2  # noqa: E731 - asked again
                await asyncio.to_thread(
                    until, lambda: said_twice("trainer") and said_twice("scorekeeper"), 15, lambda: caplog.text
                )
                await asyncio.to_thread(until, lambda: all(away()) and len(away()) == 2, 5, away)
            finally:
                broker.resume()
            await asyncio.to_thread(until, lambda: away() == [None, None], 15, away)
            assert not any(task.done() for task in running)
        finally:
            for task in running:
                task.cancel()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*running, return_exceptions=True), 10)
    for role in ("trainer", "scorekeeper"):
        said = re.compile(
            rf"kafka\.unavailable {role} for (\d+) s: no answer from {re.escape(installation.settings.kafka)}, got .+"
        )
        ages = [int(said.fullmatch(line)[1]) for line in lines(role, "kafka.unavailable")]
        assert ages[0] >= 1
        assert ages[1] > ages[0]
        [back] = lines(role, "kafka.available")
        assert back.startswith(f"kafka.available {role} after ")

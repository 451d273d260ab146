"""The command line: ``reelstream COMMAND``; the one module that joins all others.

Each command is imported when it is asked for, so that help and small commands answer at once. The overview imports
none of them: it prints the short texts that stand here.
"""

import logging
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from commands.groups import SuggestingGroup
from streams.errors import SettingsError, StateError, StreamError, TopicError

__all__ = ["cli", "main"]

# The name of each command, the module and the name that it is defined under, and what its own help begins with.
_COMMANDS = {
    "chaos": ("commands.run.chaos", "chaos", "Break a stack of its own, and check the state afterwards."),
    "demo": ("commands.run.demo", "demo", "Run the main job end to end, and measure it."),
    "up": ("commands.run.up", "up", "Run everything in one terminal until Ctrl-C."),
    "stack": ("commands.run.stack", "stack", "Run Apache Kafka and Valkey on this machine."),
    "topics": ("commands.run.topics", "topics", "Make the topics and check them."),
    "redis": ("commands.run.redis_keys", "redis", "Delete or rename the keys of this installation."),
    "worker": ("commands.run.worker", "worker", "Answer events with lists until stopped."),
    "trainer": ("commands.run.trainer", "trainer", "Fine-tune on the events until stopped."),
    "archiver": ("commands.run.archiver", "archiver", "Write accepted events to Parquet files until stopped."),
    "archive": ("commands.operate.archive", "archive", "Look at the archived events."),
    "scorekeeper": (
        "commands.run.scorekeeper",
        "scorekeeper",
        "Test every event against the list before it until stopped.",
    ),
    "api": ("commands.run.api", "api", "Answer over HTTP until stopped."),
    "keys": ("commands.operate.keys", "keys", "Make, list and remove keys of the HTTP API."),
    "quality": ("commands.operate.quality", "quality", "Show how often published lists were right."),
    "health": ("commands.run.health", "health", "Exit with 0 if a process of this host lives, else with 1."),
    "replay": ("commands.study.replay", "replay", "Send a recorded log to the topics."),
    "data": ("commands.study.data", "data", "Fetch MovieLens, list what is kept, and inspect any log."),
    "train": ("commands.study.train", "train", "Train a first version on recorded or archived events."),
    "eval": ("commands.study.evaluate", "evaluate", "Train and measure on published protocols."),
    "prequential": ("commands.study.prequential", "prequential", "Test each event of a log on the list of its moment."),
    "tune-threshold": ("commands.study.threshold", "tune_threshold", "Propose --personalize-at from what a log shows."),
    "model": ("commands.operate.models", "model", "List, check, compare, serve or delete model versions."),
    "ab": ("commands.operate.experiments", "ab", "Compare two ways to serve, each for a share of the users."),
    "mode": ("commands.operate.modes", "mode", "Show USER's mode, or choose it by hand."),
    "recommend": ("commands.operate.lookups", "recommend", "Show the list last published for USER."),
    "profile": ("commands.operate.lookups", "profile", "Show what is known about USER."),
    "forget": ("commands.people.forget", "forget", "Forget USER in every store."),
    "merge": ("commands.people.merge", "merge", "Make GUEST's history that of ACCOUNT."),
    "export": ("commands.people.export", "export", "Print all that is known about USER."),
    "similar": ("commands.operate.similar", "similar", "List the items that are similar to the one called TITLE."),
    "hot": ("commands.operate.lookups", "hot", "Show what is trending, over everything or in one genre."),
    "dead-letters": (
        "commands.operate.dead_letters",
        "dead_letters",
        "List, show or replay records that broke their contract.",
    ),
    "kinds": ("commands.operate.kinds", "kinds", "Show which kinds of events there are, and what each says."),
    "contracts": ("commands.operate.contracts", "contracts", "Print what topics carry, as JSON Schema or AsyncAPI."),
    "digest": ("commands.operate.digest", "digest", "Print a digest of what the events have made in Redis."),
    "rebuild": ("commands.operate.rebuild", "rebuild", "Replay all events into an empty database."),
    "doctor": ("commands.setup.doctor", "doctor", "Say what is wrong with the installation, and the cure."),
    "config": ("commands.setup.config", "config", "Show the settings, and where each is from."),
    "completion": (
        "commands.setup.completion",
        "completion",
        "Print what makes SHELL complete commands and options.",
    ),
}


ASKS_FOR_HELP = "reelstream.help"
GIVEN = "reelstream.given"  # the words behind the command, for whoever says where an address is from
_WITHOUT_FILE = ("completion", "config")  # which need no settings, or show what is wrong with them


class _Lazy(SuggestingGroup):
    """A group that imports a command when it is named; the overview of all of them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - same
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        ctx.meta[GIVEN] = tuple(ctx.args)
        ctx.meta[ASKS_FOR_HELP] = not {"-h", "--help"}.isdisjoint(ctx.args)
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            from commands.parts.configuration import explain  # noqa: PLC0415 - what help does not need

            raise explain(ctx, error) from error
        except (StateError, TopicError) as error:
            from commands.parts.telling import with_cure  # noqa: PLC0415 - same

            raise with_cure(ctx, error) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - same
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in _COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="reelstream")
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file of settings and options. [REELSTREAM_CONFIG, else reelstream.toml of this folder]",
)
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Reelstream: Kafka events in, live recommendation lists out, with NeuMF learning as it serves."""
    from commands.parts.configuration import Configuration, configure  # noqa: PLC0415 - same

    try:
        configure(context, config)
    except SettingsError as error:
        if not (context.meta[ASKS_FOR_HELP] or context.invoked_subcommand in _WITHOUT_FILE):
            raise
        context.obj = Configuration(error=str(error))


def main() -> None:
    """Run a command; an error that was raised on purpose is one line on stderr and exit status 1.

    SIGINT ends every command, also one that a script has started in the background, where shells have it ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it logs each attempt to connect; what matters is raised
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # as much; where a process writes a log it is there
    try:
        status = cli.main(standalone_mode=False)
    except StreamError as error:
        click.echo(f"reelstream: {error}", err=True)
        sys.exit(1)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()

"""The command line: ``reelstream COMMAND``; the one module that joins all others.

Commands live in ``commands``, one file per subject, and are imported when they are asked for, so that help and
small commands answer at once.
"""

import logging
import signal
import sys
from importlib import import_module

import click

from streams.errors import StreamError

__all__ = ["cli", "main"]

_COMMANDS = {
    "chaos": ("commands.run.chaos", "chaos"),
    "demo": ("commands.run.demo", "demo"),
    "up": ("commands.run.up", "up"),
    "stack": ("commands.run.stack", "stack"),
    "topics": ("commands.run.topics", "topics"),
    "worker": ("commands.run.worker", "worker"),
    "trainer": ("commands.run.trainer", "trainer"),
    "archiver": ("commands.run.archiver", "archiver"),
    "archive": ("commands.operate.archive", "archive"),
    "scorekeeper": ("commands.run.scorekeeper", "scorekeeper"),
    "quality": ("commands.operate.quality", "quality"),
    "health": ("commands.run.health", "health"),
    "replay": ("commands.study.replay", "replay"),
    "data": ("commands.study.data", "data"),
    "train": ("commands.study.train", "train"),
    "eval": ("commands.study.evaluate", "evaluate"),
    "prequential": ("commands.study.prequential", "prequential"),
    "tune-threshold": ("commands.study.threshold", "tune_threshold"),
    "model": ("commands.operate.models", "model"),
    "ab": ("commands.operate.experiments", "ab"),
    "mode": ("commands.operate.modes", "mode"),
    "recommend": ("commands.operate.lookups", "recommend"),
    "profile": ("commands.operate.lookups", "profile"),
    "hot": ("commands.operate.lookups", "hot"),
    "dead-letters": ("commands.operate.dead_letters", "dead_letters"),
    "digest": ("commands.operate.digest", "digest"),
    "rebuild": ("commands.operate.rebuild", "rebuild"),
}


class _Lazy(click.Group):
    """A group that imports a command when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - same
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="reelstream")
def cli() -> None:
    """Reelstream: Kafka events in, live recommendation lists out, with NeuMF learning as it serves."""


def main() -> None:
    """Run a command; an error that was raised on purpose is one line on stderr and exit status 1.

    SIGINT ends every command, also one that a script has started in the background, where shells have it ignored.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it logs each attempt to connect; what matters is raised
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

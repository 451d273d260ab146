"""``reelstream completion``: the script by which a shell completes commands and options."""

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]

_PROGRAM = "reelstream"
_VARIABLE = f"_{_PROGRAM}_complete".upper()  # as click names it by itself


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    The shell reads it when it starts, for example: eval "$(reelstream completion bash)" in ~/.bashrc.
    """
    kind = get_completion_class(shell)
    assert kind is not None  # the choices above are those that click has
    click.echo(kind(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())

"""The line on stderr by which a command names the one that commonly follows it."""

import shlex

import click

__all__ = ["say_next"]


def say_next(*words: str, why: str = "") -> None:
    """Name the next command, ready to be pasted; who prints JSON calls nothing of this.

    Parameters
    ----------
    words : the command's words behind ``reelstream``, quoted here where a shell needs it.
    why : what it is good for, if the command does not say so.
    """
    click.echo(f"next: reelstream {shlex.join(words)}" + (f"  # {why}" if why else ""), err=True)

"""Groups of commands that name the nearest one where a name is mistyped."""

from difflib import get_close_matches

import click

__all__ = ["SuggestingGroup"]


class SuggestingGroup(click.Group):
    """A group of commands; an unknown one is a usage error that says which may have been meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named, as click does."""
        typed, known = args[0], self.list_commands(ctx)
        near = [] if typed in known or typed.startswith("-") else get_close_matches(typed, known, n=1)
        if near and not ctx.resilient_parsing:
            ctx.fail(f"No such command {typed!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

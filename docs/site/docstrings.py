"""From the docstrings of the sources to the Markdown that the site is made of.

They use a little of reStructuredText: roles, simple tables, literal blocks and citations. The site's generator loads
this file by its path, as an extension of what reads the sources.
"""

import re
from typing import Any

import griffe

__all__ = ["MarkdownDocstrings", "as_markdown"]

_RULE = re.compile(r"^=+(?: +=+)+$")


class MarkdownDocstrings(griffe.Extension):
    """Rewrites each docstring as it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Return a docstring with Markdown in the place of what is no Markdown in it."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    text = re.sub(r"^::\n\n", "", text, flags=re.MULTILINE)  # the block behind it is indented, which says the same
    text = re.sub(r"\[(\d+)\]_", r"[\1]", text)
    text = re.sub(r"^\.\. \[(\d+)\] ", r"* [\1] ", text, flags=re.MULTILINE)
    return "\n".join(_with_tables(text.splitlines()))


def _with_tables(lines: list[str]) -> list[str]:
    """Return lines with each simple table, which stands between rules of the same columns, as one of Markdown."""
    found: list[str] = []
    starts: list[int] = []  # of the columns, while inside a table
    rules = 0
    for line in lines:
        if _RULE.match(line):
            rules = rules % 3 + 1
            starts = [match.start() for match in re.finditer("=+", line)]
            if rules == 2:  # noqa: PLR2004 - the one below the head
                found.append("|" + "---|" * len(starts))
        elif rules in (1, 2) and starts:
            ends = [*starts[1:], len(line)]
            cells = [line[start:end].strip().replace("|", r"\|") for start, end in zip(starts, ends, strict=True)]
            found.append(f"| {' | '.join(cells)} |")
        else:
            found.append(line)
    return found

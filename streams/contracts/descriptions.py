"""The words of numpy-style docstrings: what a class is, and what each of its parameters is."""

import inspect
import re

__all__ = ["parameters_of", "summary_of"]

_SECTION = "Parameters\n----------\n"
_NEXT_SECTION = re.compile(r"\n\n\w+\n-+\n")


def summary_of(cls: type) -> str:
    """Return the first paragraph of a class's docstring, as one line of Markdown."""
    return _one_line(_docstring(cls).partition("\n\n")[0])


def parameters_of(cls: type) -> dict[str, str]:
    """Return what the docstring says of each parameter; names that share an entry share its words."""
    _, _, section = _docstring(cls).partition(_SECTION)
    section = _NEXT_SECTION.split(section)[0]
    entries: list[str] = []
    for line in section.splitlines():
        if line.startswith(" ") and entries:
            entries[-1] += " " + line.strip()
        elif line:
            entries.append(line)
    return {
        name.strip(): _one_line(words)
        for names, _, words in (entry.partition(" : ") for entry in entries)
        for name in names.split(",")
    }


def _docstring(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")

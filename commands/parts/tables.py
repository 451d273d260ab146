"""Tables of figures as lines of text, for the commands that measure."""

from collections.abc import Sequence

__all__ = ["Row", "table"]

Row = tuple[str, ...]


def table(rows: Sequence[Row]) -> str:
    """Return rows as lines, the first column to the left and the others to the right; rows may be shorter."""
    widths = [max(len(row[at]) for row in rows if at < len(row)) for at in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"

"""What an id may be: one rule for the topics, the files that are replayed, and the command line."""

__all__ = ["ID_RULE", "MAX_ID_LENGTH", "is_id"]

MAX_ID_LENGTH = 64
ID_RULE = f"1 to {MAX_ID_LENGTH} printable characters without space around them"


def is_id(text: str) -> bool:
    """Whether a text may be an id; of all spaces only the plain one is printable, so no other can be around it."""
    return 0 < len(text) <= MAX_ID_LENGTH and text.isprintable() and text[0] != " " and text[-1] != " "

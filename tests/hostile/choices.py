"""Bytes read as decisions, and what hostile input is made of, whatever it is sent to.

A fuzzer or a seeded generator gives the bytes; each target builds one hostile input from them.
"""

from collections.abc import Sequence
from typing import Any

__all__ = ["IDS", "LITERALS", "NOW", "Choices", "edited"]

NOW = 1_700_000_000_000
LITERALS = (
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e400", b"1e308", b"5e-324", b"-0.0", b"-1", b"0", b"1", b"5", b"5.01"),
    *(b"18446744073709551615", b"18446744073709551616", b"-9223372036854775808", b"1" * 400, b"0.5", b"0.49999999999"),
    *(
        b'""',
        b'"\\ud800"',
        b'"\\ud83d\\ude00"',
        b'"\\u0000"',
        b'"a\\nb"',
        b'"\\ufeffu"',
        b'"\\u202e"',
        b'"%s"' % (b"x" * 65),
    ),
    *(b'"{p0}:at"', b'"}:seen"', b'"x:recent"', b'"%7B"', b'"__proto__"', b'"nan"', b'"1e5"', b'"u"', b'"7"', b"7"),
    *(b'" u"', b'"u "', b"1700000000", b"1700000000000000", b"20231114", b"20231114221320"),
    *(b"[]", b"{}", b"[" * 60 + b"]" * 60, b"[" * 1100, b'{"a":' * 1100, b"[null]", b'[["i"]]', b'{"i":1}', b"[1e400]"),
)
IDS = (
    *(
        "u",
        "u:recent",
        "}:seen",
        "{u}",
        "%7Bu%7D",
        "{p0}",
        "p0",
        "%",
        "%25",
        "{",
        "}",
        "}{",
        "user:{u}",
        "items:{p0}:at",
    ),
    *(
        "__proto__",
        "nan",
        "inf",
        "1e5",
        "0x10",
        "-0",
        "1.0",
        "KEYS[1]",
        "*",
        "?",
        "[a]",
        "\\",
        '"',
        "'",
        "${u}",
        "ü",
        "漢",
    ),
    *("at:watch-events:0", "landmark", "watches", "list_sequence", "hot:all", "model:current", "a" * 64, "💥" * 64),
)


class Choices:
    """Bytes read as decisions; when they are used up, every decision is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, most: int) -> int:
        """Return a number from 0 to ``most``, at most 2**16 - 1."""
        width = 1 if most < 256 else 2
        found = int.from_bytes(self.bytes(width), "little")
        return found % (most + 1)

    def one_of(self, options: Sequence[Any]) -> Any:
        """Return one of the options."""
        return options[self.number(len(options) - 1)]

    def bytes(self, most: int) -> bytes:
        """Return the next bytes, as many as are left."""
        found = self._data[self._at : self._at + most]
        self._at += most
        return found

    def id(self) -> str:
        """Return an id that the codec takes: a known nuisance, or text of the bytes."""
        if self.number(3):
            return str(self.one_of(IDS))
        text = self.bytes(1 + self.number(40)).decode("utf-8", "replace")
        return "".join(filter(str.isprintable, text))[:64].strip() or "u"


def edited(choices: Choices, content: bytes) -> bytes:
    """Return the bytes with up to four edits: one flipped, some cut, some put in, or all but the beginning gone."""
    for _ in range(1 + choices.number(3)):
        at = (
            choices.number(min(len(content), 65_535)) if choices.number(1) else choices.number(255) % (len(content) + 1)
        )
        way = choices.number(3)
        if way == 0:
            content = content[:at] + bytes([choices.number(255)]) + content[at + 1 :]
        elif way == 1:
            content = content[:at] + content[at + 1 + choices.number(15) :]
        elif way == 2:
            content = content[:at] + choices.bytes(choices.number(40)) + content[at:]
        else:
            content = content[:at]
    return content

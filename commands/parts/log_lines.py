"""The lines of a process's log: ``key=value`` for people, or a JSON object each, for whoever collects them.

Both say when (with the zone), how bad, which process, and what. A message of ours begins with the name of its event,
such as ``worker.ready``. Libraries write what they like: addresses in memory and terminal escapes are taken out.
"""

import json
import logging
import os
import re
import socket
from datetime import UTC, datetime
from typing import Any

__all__ = ["JsonLines", "KeyValueLines"]

_EVENT = re.compile(r"[a-z]+\.[a-z_]+(?= |$)")
_OBJECT = re.compile(r"<(?:[\w.]*\.)?(\w+)(?: object)? at 0x[0-9a-f]+>")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # of what is named in other ways: functions, generators, tasks within
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[@-Z\\-_])|[\x00-\x08\x0b-\x1f\x7f]")
_PLAIN = re.compile(r"[^\s\"'=\\]+")  # a value that needs no quotes


class _Lines(logging.Formatter):
    """What both kinds share.

    Parameters
    ----------
    role : of the process, such as ``worker``.
    """

    def __init__(self, role: str) -> None:
        super().__init__()
        self._process = {"role": role, "host": socket.gethostname(), "pid": os.getpid()}

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return what a line says, in its order; the local time with its distance from UTC."""
        message = _clean(record.getMessage())
        event = _EVENT.match(message)
        at = datetime.fromtimestamp(record.created, UTC).astimezone().isoformat(timespec="milliseconds")
        named = {"event": event.group()} if event else {}
        return {"ts": at, "level": record.levelname, **self._process, "logger": record.name, **named, "msg": message}

    def traceback(self, record: logging.LogRecord) -> str | None:
        """Return the traceback of a record that has one."""
        return _clean(self.formatException(record.exc_info)) if record.exc_info else None


class KeyValueLines(_Lines):
    """``ts=... level=INFO role=worker ... msg="worker.ready 3 items"``; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        fields = self.fields(record)
        fields.pop("event", None)  # which the message begins with
        line = " ".join(f"{name}={_quoted(str(value))}" for name, value in fields.items())
        traceback = self.traceback(record)
        return line if traceback is None else f"{line}\n{traceback}"


class JsonLines(_Lines):
    """One JSON object a line, with a ``traceback`` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        traceback = self.traceback(record)
        told = self.fields(record) | ({} if traceback is None else {"traceback": traceback})
        return json.dumps(told, ensure_ascii=False)


def _clean(text: str) -> str:
    """Return a text without terminal escapes and addresses in memory, and with an object's class in its place."""
    return _ADDRESS.sub("", _OBJECT.sub(r"\1", _ESCAPE.sub("", text)))


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'

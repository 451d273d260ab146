"""The local stack: a real Apache Kafka and a real Valkey as child processes, from packages.

``running_stack`` runs both for the length of a ``with`` block (demo, tests); ``open_stack`` also gives the parts,
to kill, pause and restart them: both are in ``local``. ``keeper`` keeps them running after a command has returned.
Programs are found by ``jars`` and ``valkey``; everything of one stack rests in one data folder, of which ``state`` is
the note and the lock. ``kafka`` and ``valkey`` are the servers, ``cluster`` and ``sentinel`` several of the latter for
tests; each is a ``process``, started by ``launch`` on one of its ``ports``. Importing this needs none of the packages
of the extra ``stack``; starting a server without them says what to install. This room imports no other; the commands
and the chaos run import it.
"""

from streams.stack.kafka import Broker
from streams.stack.local import Stack, open_stack, running_stack, tell
from streams.stack.state import Addresses
from streams.stack.valkey import Valkey

__all__ = ["Addresses", "Broker", "Stack", "Valkey", "open_stack", "running_stack", "tell"]

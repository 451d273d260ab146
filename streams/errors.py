"""The errors that Reelstream raises on purpose, as one tree.

::

    StreamError
    |-- SettingsError        a setting or an argument cannot be used
    |-- RecordError          a record from a topic breaks its contract; becomes a dead letter
    |-- TopicError           a topic is missing or has the wrong shape
    |   |-- ClusterAway      Kafka cannot serve for now; the same call may pass in a moment
    |   |-- NoCluster        no Kafka cluster could be connected to at the address that is set
    |   `-- NotAnnounced     a version serves, and Kafka could not be told
    |-- StateError           Redis is too old, refuses us, or answered what it should not
    |   |-- StateAway        Redis cannot serve for now; the same call may pass in a moment
    |   |-- StateMoved       another Redis answers than the one that was known; it may hold less
    |   `-- VersionOvertaken another version was chosen meanwhile
    |-- RegistryError        a model version is missing, torn, tampered with, or of a newer format
    |-- DataError            a data set cannot be fetched, opened or read
    `-- StackError           a part of the local stack did not start or stop

Every message says where, what was required, what was got, and the cure where one exists.
``model`` raises only ``ValueError``, ``TypeError`` and ``FloatingPointError``.
"""

__all__ = [
    "ClusterAway",
    "DataError",
    "NoCluster",
    "NotAnnounced",
    "RecordError",
    "RegistryError",
    "SettingsError",
    "StackError",
    "StateAway",
    "StateError",
    "StateMoved",
    "StreamError",
    "TopicError",
    "VersionOvertaken",
]


class StreamError(Exception):
    """Anything that Reelstream raises on purpose; the command line prints it as one line and exits 1."""


class SettingsError(StreamError):
    """A setting or an argument cannot be used."""


class RecordError(StreamError):
    """A record breaks its topic's contract."""


class TopicError(StreamError):
    """A topic is missing or has the wrong shape."""


class ClusterAway(TopicError):  # noqa: N818 - a state of affairs, and read as one
    """Kafka cannot serve for now (it is unreachable, or chooses a leader); waiting may cure it."""


class NoCluster(TopicError):  # noqa: N818 - same
    """No Kafka cluster could be connected to at the address that is set; who starts does not wait for one."""


class NotAnnounced(TopicError):  # noqa: N818 - a state of affairs, and read as one
    """A version serves, and Kafka could not be told; whoever starts next announces it."""


class StateError(StreamError):
    """Redis is too old, refuses us, or answered what it should not."""


class StateAway(StateError):  # noqa: N818 - a state of affairs, and read as one
    """Redis cannot serve for now (it is unreachable, loading, read-only or full); waiting may cure it."""


class StateMoved(StateError):  # noqa: N818 - what happened, as with its siblings in redis-py
    """Another Redis answers than the one that was known (restarted, failed over, swapped); it may hold less."""


class VersionOvertaken(StateError):  # noqa: N818 - what happened
    """Another version was chosen meanwhile than the one that was to be replaced; nothing has changed."""


class RegistryError(StreamError):
    """A model version is missing, torn, tampered with, or of a newer format."""


class DataError(StreamError):
    """A data set cannot be fetched, opened or read."""


class StackError(StreamError):
    """A part of the local stack did not start or stop."""

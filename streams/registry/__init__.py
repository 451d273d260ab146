"""Model versions as files: written whole, found again, checked before anyone trusts them.

``versions`` stores files as a version and checks them when they are read, whatever they mean. ``registry`` turns a
model's snapshot into such files and back, whole or as the changes to another version. ``forgotten`` knows which
users' rows went. ``checkpoints`` keeps a training
that was interrupted. This room imports no other of ``streams``, and of ``model`` what a snapshot is; which version
serves is said in ``state``. The processes that load or store a model import it.
"""

__all__: list[str] = []

"""When things happen: the worker's Faust agents and the trainer's loop.

An agent's body is decode, call, publish, acknowledge. Arithmetic lives in ``model``, records and Redis keys
in ``streams``; nobody imports this package except the command line.
"""

__all__: list[str] = []

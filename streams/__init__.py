"""What a record is and where it rests: settings, topics, codec, Redis state, model registry, Faust app.

Bytes come in from Kafka and are validated here (``codec``), state is changed by one server-side function per
user and batch (``state``), and models are stored and found again (``registry``). Nothing here decides what to
recommend.
"""

__all__: list[str] = []

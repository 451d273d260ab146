"""Records as values: what they hold, their bytes, and what is refused before it becomes one.

``records`` holds the values and ``positions`` says where one stands. ``codec`` turns bytes into them and back, and
``decoding`` does so for whole batches and for everybody who reads events. ``ids`` and ``times`` say what an id and an
event time may be, and ``duplicates`` which events came before. ``key_forms`` and ``wrapping`` read what serialisers put
into keys and around values, and ``lookalikes`` says what bytes that are no record look like. ``published`` reads lists
back for those who judge them, and ``trace_context`` what headers say of a trace.
``data_requests`` is what people ask of their data, and ``merges`` says who was merged into whom.
Every room of ``streams`` that handles events imports this one. It knows neither Kafka's clients nor Redis.
"""

__all__: list[str] = []

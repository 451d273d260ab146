"""What is wrong with an installation, looked at from outside: each finding with its cure.

``findings`` says what a finding is. ``cluster`` looks at Kafka and the topics, ``transactions`` at what stays open in
them, ``database`` at Redis, ``models`` at the registry, and ``machine`` at what is installed here. Nothing is changed;
whatever cannot be asked is a finding too.
"""

__all__: list[str] = []

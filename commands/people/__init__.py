"""What people may ask of their data.

``forget`` forgets one everywhere, ``merge`` makes a guest's history an account's, ``export`` tells what is known.
``asking`` does what the first two do alike. This folder imports ``parts`` alone.
"""

__all__: list[str] = []

"""Lists, events and the rest over HTTP, for whoever has a key.

``front`` is what every request meets first: ``keys`` says who asks and what they may, ``limits`` how much, ``metrics``
counts, and the most wanted road, a stored list, is answered right there. ``routes`` holds all other roads by subject;
``asking`` reads wishes out of a query, ``schemas`` describes the answers, ``answers`` writes them, ``problems`` says
what is wrong as RFC 9457 has it, and ``document`` joins roads and document into one application. ``sign_in`` gives a
browser a session for a key, for the page.
"""

__all__: list[str] = []

"""The live page, on NiceGUI: what it shows comes from the gateway, and what is done on it goes there.

``mounting`` puts it on the app that serves the API. ``frame`` is what every page has around it, ``elements`` what pages
are made of, ``cards`` how an item looks, and ``words`` what things are called; ``confirming`` asks before something is
done that others notice, ``looking`` says what went wrong, and ``rights`` who may do
what. ``visitor`` is the page of somebody who is
recommended something, ``operator`` that of whoever runs the installation. Nothing is decided here.
"""

__all__: list[str] = []

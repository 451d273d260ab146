"""The page of whoever runs the installation.

``page`` joins the parts and looks again and again: ``traffic`` and how late lists are, ``quality`` with its ``chart``,
``versions`` with the way back, ``decisions`` about them, the ``experiment``, dead ``letters``, and all ``processes``.
``deciding`` is what the parts share where something is changed; ``figures`` are tables and numbers as these show them.
"""

__all__: list[str] = []

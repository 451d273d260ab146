"""The page of a visitor.

``page`` joins the parts: ``who`` the visitor is, ``finding`` items by title, ``live_list`` that changes by itself,
``asking`` for another one, ``history`` of the visitor, and the dialog of ``similar`` items. ``acting`` sends what a
visitor does. ``side_by_side`` is a page of its own, with two lists.
"""

__all__: list[str] = []

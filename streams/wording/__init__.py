"""Lists put into words by a language model, if one is set up: what may change, what is checked, and how long it takes.

``endpoint`` says where the model is, ``prompt`` what it is told of a list, ``checking`` what of its answer may be
believed, and ``wording`` asks it within a time budget. The model may say a reason in other words, and may put the
places of a list into another order. It may not bring in an item, a name or another reason: an answer that does is
refused as a whole, and the list goes out as it was. The room imports the root of ``streams``, ``records`` and
``serving``.
"""

__all__: list[str] = []

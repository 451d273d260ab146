"""What a person asks of one list, and what each wish is worth.

``wishes`` holds the wishes themselves, ``query`` what a query in words means and who reads it, and ``combining`` the
one function that adds what was asked for to the score of the model. The room imports the root of ``model``;
``model.intent`` reads queries, and ``model.ranking`` reads wishes against a catalogue and lists by them.
"""

__all__: list[str] = []

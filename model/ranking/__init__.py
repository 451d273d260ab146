"""From a snapshot and a catalogue to the best items of each user.

``exact`` scores a whole catalogue for a batch of users: a blend of what the network, the counts and ``signals``, what
trends at the moment, say of it. ``retrieval`` does the same for a catalogue that is too large for that, with an index
of item vectors. ``approval`` adds to either whether the user will like the item as well, and ``leave_one_out`` says
what each item of a history is worth to a listed one. ``content`` says which items are alike before anybody touched
them, ``neighbours`` which are similar by that and by what users did, and ``cold_start`` mixes that with what is
trending. ``modes`` decides which of the two kinds of list a user gets, ``hint_lifts`` says what people of a group begin
with, and ``unknown_items`` where in a cold-start list stands what a version does not know yet. ``asked`` reads
wishes against a catalogue, ``recommender`` makes lists, ``exploration`` leaves places of them to chance, and
``exposure`` gives one to new items. The room imports the root of ``model``, ``network``, ``reranking`` and ``wishes``.
Serving, the worker and the prequential replay go through ``recommender``; training and the offline evaluation need no
more than ``exact``.
"""

__all__: list[str] = []

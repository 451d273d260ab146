"""From the best candidates of a list to the list: what is said against ten of the best that are all alike.

``mmr`` takes the next item by its relevance less its likeness to what is listed already, and ``calibration`` by how
the genres of the list differ from those of the user. ``impressions`` counts what a user was shown, and discounts it.
``diversified`` joins the terms for the candidates of many users at once. ``reasons`` says why each item of a list is
there. The room imports the root of ``model`` alone: ``model.ranking`` gives it what it reads. Nothing here is learnt.
Without a weight a list is the one that its scores give.
"""

__all__: list[str] = []

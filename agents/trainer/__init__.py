"""The trainer process: events in, model versions out.

``trainer`` joins the parts and takes turns: collect, train, follow. ``events`` reads into the learner, ``intake``
says what is learnt of an event, or taken back, and ``pending`` knows which records no version contains yet.
``schedule`` says when a round is due, and where one waits; ``rounds`` runs it; ``promoting`` stores what passed the
gate and lets it serve, ``blame`` goes back when rounds diverge, and ``hints`` learns what newcomers begin with.
``versions`` keeps the registry, ``pointer`` reads and moves the model pointer, and ``announcer`` tells
``model-versions``. ``forgetting`` forgets users in memory and in every version. ``config`` holds the sizes, and
``report`` is what ``reelstream health`` prints, with what the gate measured.
"""

__all__: list[str] = []

"""What several commands share.

``options`` has the addresses that most commands take, ``training_options`` and ``prequential_options`` those of the
commands that train and that replay a log, ``log_options`` what may be said of a log; ``configuration`` reads the one
file of settings and options. ``starting`` is what a long-running process requires before it starts, ``running`` its log
and its end, ``log_lines`` what the log looks like, and ``children`` runs such processes as children. ``splits`` opens
what is measured on. ``telling`` names the command that follows and shows that something is at work, ``drawing`` prints
tables and draws; ``eval_report`` and ``prequential_report`` tell what two long commands found, and ``comparing`` says
where a model is worse than a simple one. This folder imports no command.
"""

__all__: list[str] = []

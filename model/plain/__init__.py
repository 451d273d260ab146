"""The NeuMF of the paper, for comparison alone: nobody is served by it.

``network`` is the model, ``gradient`` its gradient without autograd, and ``numpy_network`` the reference that both are
checked against. ``fit`` trains it with either backend on the same batches. The room imports the root of ``model``, the
unset layers of ``network`` and the negatives of ``training``. Only the offline evaluation and the command ``plain``
import it.
"""

__all__: list[str] = []

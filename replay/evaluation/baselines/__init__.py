"""What every figure of ours stands beside: known methods, fitted on the same split in the same run.

``popularity`` counts users, ``item_knn``, ``cooccurrence`` and ``ease`` weigh pairs of items, ``als``, ``svd`` and
``nmf`` factorise the sparse matrix that ``matrix`` builds, ``lightgcn`` smooths vectors over a graph, and
``plain_neumf`` is the NeuMF of the paper. Each is a thin layer around the library that does the work (scipy, implicit,
scikit-learn, PyTorch). Their constants were chosen as ours were, on users' penultimate events of the NCF split, and are
the defaults of each. ``baseline`` finds one by name and imports only what that one needs. The room imports ``scorers``
and ``split`` of ``evaluation``, and for ``plain_neumf`` the room ``model.plain``. The commands ``eval``, ``plain`` and
``train`` import it.
"""

from importlib import import_module

from replay.evaluation.scorers import Method
from streams.errors import SettingsError

__all__ = ["BASELINES", "MAX_PAIRED_ITEMS", "PAIRED", "baseline"]

BASELINES = {
    "popularity": ("popularity", "MostPopular"),
    "item-knn": ("item_knn", "ItemKNN"),
    "co-occurrence": ("cooccurrence", "PairCounts"),
    "ease": ("ease", "Ease"),
    "als": ("als", "ImplicitALS"),
    "svd": ("svd", "TruncatedSVD"),
    "nmf": ("nmf", "NonNegative"),
    "lightgcn": ("lightgcn", "LightGCN"),
    "plain-neumf": ("plain_neumf", "PaperNeuMF"),
}
"""Module and class of each name, cheapest first."""

PAIRED = ("item-knn", "co-occurrence", "ease")  # that have a weight for each pair of items
MAX_PAIRED_ITEMS = 10_000  # for these where nobody asks for them: four tables of 400 MB


def baseline(name: str) -> Method:
    """Return a baseline with its chosen constants.

    Raises
    ------
    SettingsError
        If there is none of that name, or a package that it needs is not installed.
    """
    if name not in BASELINES:
        raise SettingsError(f"eval: a baseline must be one of {', '.join(BASELINES)}, got {name!r}")
    module, method = BASELINES[name]
    try:
        found: Method = getattr(import_module(f"replay.evaluation.baselines.{module}"), method)()
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise SettingsError(
            f"eval: baseline {name} requires the package {package!r}, got none: pip install 'reelstream[eval]'"
        ) from error
    return found

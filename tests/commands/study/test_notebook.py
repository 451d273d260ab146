"""The notebook of the examples runs from its first cell to its last, and draws."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[3]
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"


@pytest.fixture(scope="module")
def notebook():
    """Return the notebook as it is checked in."""
    return nbformat.read(NOTEBOOK, as_version=4)


def log_of(folder):
    """Return a MovieLens folder in which 40 users walk through 60 films, a film a minute."""
    steps = [(step, user) for step in range(16) for user in range(40)]
    lines = [f"{user},{(2 * user + step) % 60},{3 + step % 3},{60 * (step * 40 + user)}" for step, user in steps]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    films = [f"{n},Film {n} (1990),Drama" for n in range(60)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n")
    return folder


def test_no_output_is_checked_in(notebook):
    """Figures and pictures are made by whoever runs it; none grows old in the repository."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count] == []
    assert cells


def test_its_links_lead_somewhere(notebook):
    """Each link in its text to a page of ours names one."""
    text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#]+)", text)
    assert [link for link in links if not (NOTEBOOK.parent / link).exists()] == []
    assert links


@pytest.mark.timeout(480)  # a kernel of its own that imports torch, two trainings
def test_every_cell_runs(notebook, tmp_path):
    """On a log of 640 events it replays, trains, measures and draws three pictures."""
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = f'DATASET, LIMIT, EPOCHS, EVERY = "{log_of(tmp_path)}", 640, 1, 200'
    client = NotebookClient(notebook, timeout=400, resources={"metadata": {"path": str(ROOT)}})
    client.execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert "640 events of 40 users and 60 items" in printed
    assert "HR@10 of the candidate" in printed
    assert "held-out events, HR@10" in printed
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    assert [output for output in outputs if output.output_type == "error"] == []

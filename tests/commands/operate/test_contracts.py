"""``reelstream contracts``: the documents are printed, written and compared."""

import json

import pytest
from click.testing import CliRunner

from commands.operate.contracts import contracts
from streams.contracts.documents import ASYNCAPI, contract_files
from streams.errors import DataError


def run(*arguments):
    """Run the command, which must end well, and return what it prints."""
    done = CliRunner().invoke(contracts, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_schema_or_the_document_is_printed():
    """With a topic its schema, without one the AsyncAPI document, each as it is in its file."""
    assert run() == contract_files()[ASYNCAPI]
    assert json.loads(run("watch-events"))["title"] == "Watch"
    assert run("watch-events") == contract_files()["watch-events.schema.json"]


def test_files_are_written_and_compared(tmp_path):
    """What was written is up to date and breaks nothing; a file that was changed is an error that names it."""
    assert run("--out", tmp_path).splitlines() == [str(tmp_path / name) for name in contract_files()]
    assert "is up to date" in run("--check", tmp_path)
    assert "nothing breaks" in run("--since", tmp_path)
    schema = json.loads((tmp_path / "rate-events.schema.json").read_text())
    schema["properties"]["rating"]["maximum"] = 10
    (tmp_path / "rate-events.schema.json").write_text(json.dumps(schema))
    with pytest.raises(DataError, match=r"got others in rate-events\.schema\.json; write them with"):
        run("--check", tmp_path)
    with pytest.raises(DataError, match=r"rate-events\.rating: maximum is 10 on one side and 5\.0 on the other"):
        run("--since", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["films"], "one of watch-events, rate-events"), (["watch-events", "--check", "x"], "is required at most")],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments, said):
    """A topic that there is not, and two wishes at once, end with status 2."""
    done = CliRunner().invoke(contracts, arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())

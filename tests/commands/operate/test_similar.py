import json

import pytest
from click.testing import CliRunner

from commands.operate.similar import similar
from model.catalogue import Item
from model.similar import SimilarItems
from streams.errors import StateError
from streams.redis.connection import connect
from streams.state.store import State

FILMS = (
    Item("1", "Godfather, The", 1972, ("Crime",)),
    Item("2", "Heat", 1995, ("Crime",)),
    Item("3", "Alien", 1979, ("Horror",)),
    Item("4", "Aliens", 1986, ("Action",)),
)


@pytest.fixture
async def url(redis_url):
    """Write four films, and what is similar to the first."""
    client = connect(redis_url)
    state = State(client)
    await state.install()
    await state.put_catalogue(FILMS)
    await state.put_similar({"1": SimilarItems((("2", 0.9), ("gone", 0.8)), (("3", 1.0),), (("2", 0.45),))})
    await client.aclose()
    return redis_url


def run(url, *arguments):
    """Run the command."""
    return CliRunner().invoke(similar, [*arguments, "--redis", url], catch_exceptions=False, env={"COLUMNS": "120"})


@pytest.mark.parametrize("title", ["The Godfather", "Godfahter", "Godfather, The (1972)", "godfather 1972"])
async def test_any_spelling_finds_the_item_and_its_three_lists(url, title):
    """The article in front, a slip of the pen: the same film, and similar ones that the catalogue still holds."""
    result = run(url, title, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.output)
    assert answer["item"]["item_id"] == "1"
    assert [one["title"] for one in answer["content"]] == ["Heat"]
    assert [(one["item_id"], one["score"]) for one in answer["behaviour"]] == [("3", 1.0)]
    assert answer["both"] == [
        {"rank": 1, "item_id": "2", "title": "Heat", "year": 1995, "genres": ["Crime"], "score": 0.45}
    ]


async def test_two_letters_that_changed_places_find_a_short_title(url):
    """One slip of the pen is enough where only one title is that near."""
    assert json.loads(run(url, "Alein", "--json").output)["item"]["item_id"] == "3"


async def test_one_list_is_shown_as_a_table(url):
    """``--by`` leaves the others out; an item is named by its id as well."""
    result = run(url, "1", "--item", "--by", "content")
    assert result.exit_code == 0
    assert "similar to Godfather, The (1972; item 1)" in result.output
    assert "Heat" in result.output
    assert "by behaviour" not in result.output


async def test_the_beginning_of_an_id_is_enough_where_one_item_has_it(url):
    """An id that is whole wins over longer ones; where several begin so, they are named."""
    client = connect(url)
    await State(client).put_catalogue(
        (
            *(*FILMS, Item("m13", "Seven", 1995, ()), Item("27", "Up", 2009, ()), Item("271", "Ran", 1985, ())),
            *(Item(f"x{n}", f"Part {n}", 2000, ()) for n in range(1, 8)),
        )
    )
    await client.aclose()
    assert "item 27)" in run(url, "27", "--item").output
    assert "item m13)" in run(url, "m1", "--item").output
    assert run(url, "28", "--item").exit_code == 1
    several = run(url, "x", "--item")
    assert several.exit_code == 2
    assert "with which x1, x2, x3, x4, x5 and 2 more begin" in several.output


async def test_what_an_earlier_version_wrote_is_told(url):
    """A list in the form of before is an error with its cure."""
    client = connect(url)
    await client.set("similar:2", '[["1", 0.5]]')
    await client.aclose()
    with pytest.raises(StateError, match="which an earlier version wrote; start a worker of this version"):
        run(url, "Heat")


async def test_an_item_of_which_nothing_is_said_has_no_list(url):
    """Before the worker has written them, the lists are empty."""
    result = run(url, "Heat")
    assert result.exit_code == 0
    assert result.output.count("nothing yet") == 3


async def test_an_unknown_title_ends_with_one_and_the_nearest_titles(url):
    """What is near to none is refused, and those nearest are offered; so in JSON."""
    result = run(url, "Alienz from Mars")
    assert result.exit_code == 1
    assert "a title of the catalogue is required, got 'Alienz from Mars'" in result.output
    near = run(url, "Aliennation", "--json")
    assert near.exit_code == 1
    offered = json.loads(near.output)["did_you_mean"]
    assert {one["title"] for one in offered} == {"Alien", "Aliens"}
    assert "did you mean 'Alien' (1979), 'Aliens' (1986)?" in run(url, "Aliennation").output
    assert run(url, "9", "--item").exit_code == 1

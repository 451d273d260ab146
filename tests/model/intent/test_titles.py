from model.catalogue import Item
from model.intent.titles import TitleFinder, plain_title


def test_a_title_is_found_by_any_of_its_names(films):
    """The article in front, behind or left out, the year, the part before a colon: all name the same film."""
    finder = TitleFinder(films)
    for text in ("The Godfather", "godfather", "Godfather, The", "GODFATHER, THE"):
        assert finder.exactly(text).item_id == "3"
    assert finder.exactly("Star Wars").item_id == "11"
    assert finder.exactly("Airplane").item_id == "4"
    assert finder.exactly("Airport") is None
    assert finder.exactly("") is None


def test_the_nearest_titles_come_first(films):
    """A slip of the pen finds its title; what is like no title finds none."""
    finder = TitleFinder(films)
    found = finder.find("Godfahter", 2, 0.5)
    assert [item.item_id for item, _ in found][:1] == ["3"]
    assert 0.85 < found[0][1] < 1.0
    assert finder.find("qqqqqqq", 3, 0.5) == []
    assert finder.find("!!!", 3, 0.0) == []


def test_of_two_films_of_one_title_the_first_is_meant():
    """Order decides between equals, and both are found."""
    finder = TitleFinder([Item("a", "Sabrina (1954)"), Item("b", "Sabrina (1995)")])
    assert finder.exactly("sabrina").item_id == "a"
    assert [item.item_id for item, _ in finder.find("sabrina", 5, 0.9)] == ["a", "b"]


def test_a_year_says_which_film_of_a_title_is_meant():
    """In brackets or not, and wherever the catalogue keeps the year; a number that is no year of it is the title's."""
    finder = TitleFinder(
        [Item("a", "Sabrina (1954)"), Item("b", "Sabrina", 1995), Item("c", "Amityville 1992"), Item("d", "Heat", 1995)]
    )
    for text, found in {
        "Sabrina (1995)": "b",
        "sabrina 1995": "b",
        "Sabrina 1954": "a",
        "Sabrina (1999)": "a",
        "heat 1995": "d",
        "amityville 1992": "c",
    }.items():
        assert finder.exactly(text).item_id == found, text
    assert finder.exactly("heat 1972") is None


def test_one_slip_finds_a_title_that_stands_alone():
    """Letters that changed places too; where two titles are as near, neither is taken, nor for a short word."""
    finder = TitleFinder([Item("a", "Alien"), Item("b", "Fargo"), Item("c", "Largo"), Item("d", "Heat")])
    assert finder.by_one_slip("Alein").item_id == "a"
    assert finder.by_one_slip("Fargi").item_id == "b"
    for text in ("Margo", "Haet", "Alieens", ""):
        assert finder.by_one_slip(text) is None, text
    assert TitleFinder([Item("b", "Fargo"), Item("c", "Farga")]).by_one_slip("Fargi") is None


def test_titles_are_said_with_their_article_in_front():
    """The year goes, and what stands behind a comma comes first if it is an article."""
    assert plain_title("Matrix, The (1999)") == "The Matrix"
    assert plain_title("Good, the Bad and the Ugly") == "Good, the Bad and the Ugly"

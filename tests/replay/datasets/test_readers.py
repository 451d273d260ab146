import gzip
import hashlib
import zipfile

import numpy as np
import pytest

from model.catalogue import Item
from model.hints import UserHints
from replay.datasets.readers import read_dataset
from streams.errors import DataError


def flagged(*positions):
    """Return 19 genre flags (0 unknown, 5 Comedy, 8 Drama) with those at the positions set."""
    return "|".join("1" if place in positions else "0" for place in range(19))


def write(folder, **files):
    """Write files whose names have ``__`` for the dot; text goes out as Latin-1, bytes as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode("latin-1")
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def tuples(dataset):
    """Return the interactions as plain tuples."""
    return list(dataset.interactions.itertuples(index=False, name=None))


@pytest.fixture
def tab(tmp_path):
    """Write a folder laid out like ml-100k."""
    return write(
        tmp_path / "tab",
        u__data="7\t2\t3\t200\n8\t1\t5\t100\n7\t9\t1\t300\n",
        u__item=(
            f"1|Glass Lantern, The (1991)|01-Jan-1991||http://example.org/|{flagged(5, 8)}\n"
            f"2|\xc9toile (1988) |01-Jan-1988|||{flagged(0)}\n"
        ),
    )


def test_tab_ratings_are_ordered_by_time_and_in_milliseconds(tab):
    """Rows of u.data come ascending in time, seconds become milliseconds, ids are text."""
    assert tuples(read_dataset(tab)) == [
        ("8", "1", 5.0, 100_000),
        ("7", "2", 3.0, 200_000),
        ("7", "9", 1.0, 300_000),
    ]


def test_columns_have_the_promised_types(tab):
    """Ids are Python strings, ratings float64 and times int64."""
    frame = read_dataset(tab).interactions
    assert list(frame.columns) == ["user_id", "item_id", "rating", "ts"]
    assert {type(value) for column in ("user_id", "item_id") for value in frame[column]} == {str}
    assert (frame["rating"].dtype, frame["ts"].dtype) == (np.float64, np.int64)
    assert frame.index.tolist() == [0, 1, 2]


def test_tab_items_lose_year_trailing_article_and_unknown_genre(tab):
    """Latin-1 is read, the year is split off, the article leads, flags 5 and 8 are Comedy and Drama."""
    catalogue = read_dataset(tab).catalogue
    assert catalogue.find("1") == Item("1", "The Glass Lantern", 1991, ("Comedy", "Drama"))
    assert catalogue.find("2") == Item("2", "\xc9toile", 1988, ())


def test_a_rated_item_without_description_has_its_id_as_title(tab):
    """Item 9 is rated but not described."""
    assert read_dataset(tab).catalogue.find("9") == Item("9", "9")


def test_origin_names_the_format_and_the_file_and_its_hash(tab):
    """The SHA-256 is that of the bytes of the ratings file."""
    origin = read_dataset(tab).origin
    expected = hashlib.sha256((tab / "u.data").read_bytes()).hexdigest()
    assert (origin.format, origin.file, origin.sha256) == ("movielens-100k", f"{tab}/u.data", expected)


def test_an_item_file_is_optional(tmp_path):
    """Ratings alone make a log whose titles are ids."""
    folder = write(tmp_path / "bare", u__data="1\t2\t3\t4\n")
    assert list(read_dataset(folder).catalogue) == [Item("2", "2")]


def test_dat_files_with_windows_line_ends(tmp_path):
    """Double colons separate, CR LF ends lines, and a single colon belongs to the title."""
    folder = write(
        tmp_path / "dat",
        ratings__dat="1::10::5::50\r\n2::20::1::40\r\n",
        movies__dat="10::Orbit: A Tale (1970)::Drama|Sci-Fi\r\n20::Noir, Le (Night :) (1950)::Film-Noir\r\n",
    )
    dataset = read_dataset(folder)
    assert tuples(dataset) == [("2", "20", 1.0, 40_000), ("1", "10", 5.0, 50_000)]
    assert list(dataset.catalogue) == [
        Item("10", "Orbit: A Tale", 1970, ("Drama", "Sci-Fi")),
        Item("20", "Le Noir (Night :)", 1950, ("Film-Noir",)),
    ]


CSV_MOVIES = (
    "movieId,title,genres\n"
    '1,"Bread, Salt, and Rain (2001)",Drama|Romance\n'
    '2,"The ""Quiet"" Harbour (2010\u20132012)",(no genres listed)\n'
    "3,Untold,Comedy\n"
).encode()


def test_csv_with_quoted_commas_quotes_and_half_stars(tmp_path):
    """Quoted commas and doubled quotes stay in titles, a series has its first year, half stars are kept."""
    folder = write(
        tmp_path / "csv",
        ratings__csv="userId,movieId,rating,timestamp\n1,1,0.5,10\n1,2,4.5,20\n",
        movies__csv=CSV_MOVIES,
    )
    dataset = read_dataset(folder)
    assert [row[2] for row in tuples(dataset)] == [0.5, 4.5]
    assert list(dataset.catalogue) == [
        Item("1", "Bread, Salt, and Rain", 2001, ("Drama", "Romance")),
        Item("2", 'The "Quiet" Harbour', 2010, ()),
        Item("3", "Untold", None, ("Comedy",)),
    ]


INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n007\ta-1\t4\t1.5\n7\tb\t2.0\t1\n"


def test_atomic_files_keep_tokens_and_fractions_of_seconds(tmp_path):
    """The token 007 is not 7, and 1.5 s is 1,500 ms."""
    folder = write(
        tmp_path / "atomic",
        log__inter=INTER,
        log__item=(
            "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
            "a-1\tDune Sea\t1980\tWar Drama\nb\t\t\t\n"
        ),
    )
    dataset = read_dataset(folder)
    assert tuples(dataset) == [("7", "b", 2.0, 1000), ("007", "a-1", 4.0, 1500)]
    assert list(dataset.catalogue) == [Item("a-1", "Dune Sea", 1980, ("War", "Drama")), Item("b", "b")]


@pytest.mark.parametrize(
    ("header", "row", "title", "genres"),
    [
        ("movie_name:token_seq\ttype:token_seq", "Kite, The\tAdventure Sci-Fi", "The Kite", ("Adventure", "Sci-Fi")),
        (
            "name:token\tgenre:token_seq\ttype:token",
            "Kite\tSlice of Life, Drama\tTV",
            "Kite",
            ("Slice of Life", "Drama"),
        ),
        ("name:token\ttype:token", "Kite\tTV", "Kite", ()),
    ],
)
def test_titles_and_genres_are_found_where_atomic_files_have_them(tmp_path, header, row, title, genres):
    """A film's type is its genres where it is a sequence, and no genre as one token; genres may lie between commas."""
    log = write(tmp_path / "log", x__inter=INTER, x__item=f"item_id:token\t{header}\nb\t{row}\n")
    assert read_dataset(log).catalogue.find("b") == Item("b", title, None, genres)


def test_atomic_columns_are_found_by_name(tmp_path):
    """The order of the columns is the header's, and further columns are passed over."""
    folder = write(
        tmp_path / "wide",
        wide__inter="timestamp:float\tplace:token\titem_id:token\tuser_id:token\trating:float\n9\tx\ti\tu\t3\n",
    )
    assert tuples(read_dataset(folder)) == [("u", "i", 3.0, 9000)]


def test_atomic_files_need_no_rating(tmp_path):
    """As in logs of visits and plays: each row counts in full; what is missing of users and items is told at once."""
    folder = write(tmp_path / "few", few__inter="user_id:token\titem_id:token\ttimestamp:float\n1\t2\t3\n")
    assert tuples(read_dataset(folder)) == [("1", "2", 5.0, 3000)]
    folder = write(tmp_path / "none", none__inter="place:token\ttimestamp:float\n1\t3\n")
    with pytest.raises(
        DataError, match=r"none\.inter line 1 must name a column user_id.*; and a column item_id.*--item"
    ):
        read_dataset(folder)


def test_a_zip_with_a_folder_reads_like_the_folder(tmp_path, tab):
    """Files one level down in a zip are found, resource forks beside them are not."""
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as archive:
        for file in tab.iterdir():
            archive.write(file, f"some folder/{file.name}")
        archive.writestr("__MACOSX/._x.inter", "junk")
    zipped, plain = read_dataset(tmp_path / "log.zip"), read_dataset(tab)
    assert tuples(zipped) == tuples(plain)
    assert zipped.catalogue == plain.catalogue
    assert (zipped.name, zipped.origin.sha256) == ("log", plain.origin.sha256)


def test_a_folder_in_a_folder_is_found(tab):
    """The path may be the folder above."""
    assert len(read_dataset(tab.parent).interactions) == 3


def test_a_single_ratings_file_takes_the_items_beside_it(tmp_path):
    """A path to one of several logs in a folder reads that one."""
    write(tmp_path, a__inter=INTER, b__inter=INTER, a__item="item_id:token\tname:token\nb\tBlue Kite\n")
    with pytest.raises(DataError, match=r"exactly one ratings file .* got \['a.inter', 'b.inter'\]"):
        read_dataset(tmp_path)
    assert read_dataset(tmp_path / "a.inter").catalogue.find("b") == Item("b", "Blue Kite")


def test_ties_are_shuffled_by_the_seed_alone(tmp_path):
    """Equal times come in an order that the seed decides and repeats, between the earlier and the later row."""
    rows = [(u, 5) for u in range(2, 60)]
    text = "".join(f"{u}\t1\t3\t{ts}\n" for u, ts in [(1, 4), *rows, (60, 6)])
    folder = write(tmp_path / "ties", u__data=text)
    first, again, other = (read_dataset(folder, seed=seed).interactions["user_id"].tolist() for seed in (3, 3, 4))
    assert first == again != other
    assert first != [str(u) for u in range(1, 61)]
    assert (first[0], first[-1], sorted(first)) == ("1", "60", sorted(other))


GOOD = "1\t2\t3\t4\n"


@pytest.mark.parametrize(
    ("row", "required"),
    [
        ("1\t2\t3", "4 fields"),
        ("1\t2\t3\t4\t5", "4 fields"),
        ("1\t2\tx\t4", "a rating from 0.5 to 5.0"),
        ("1\t2\t5.5\t4", "a rating from 0.5 to 5.0"),
        ("1\t2\t0\t4", "a rating from 0.5 to 5.0"),
        ("1\t2\tnan\t4", "a rating from 0.5 to 5.0"),
        ("1\t2\t3\t4.5", "a timestamp in whole seconds"),
        ("1\t2\t3\t-1", "a timestamp in whole seconds"),
        ("1\t2\t3\t1700000000000", "a timestamp in whole seconds"),
        ("1\t2\t3\t", "a timestamp in whole seconds"),
        ("\t2\t3\t4", "user and item ids"),
        (f"1\t{'i' * 65}\t3\t4", "user and item ids"),
        ("1\t\x07\t3\t4", "user and item ids"),
    ],
)
def test_a_bad_row_is_told_with_file_and_line(tmp_path, row, required):
    """The second line is bad: the message says where, what was required and what was got."""
    folder = write(tmp_path / "bad", u__data=f"{GOOD}{row}\n{GOOD}")
    with pytest.raises(DataError) as caught:
        read_dataset(folder)
    assert f"{folder}/u.data line 2 must hold {required}" in str(caught.value)
    assert repr(row.encode())[2:-1] in str(caught.value)


def test_two_bad_rows_whose_fields_add_up_are_still_found(tmp_path):
    """Three fields and then five make eight as two good rows do; the first of them is told."""
    folder = write(tmp_path / "sum", u__data="1\t2\t3\n1\t2\t3\t4\t5\n")
    with pytest.raises(DataError, match=r"line 1 must hold 4 fields"):
        read_dataset(folder)


def test_a_bad_dat_row_is_told_with_its_line(tmp_path):
    """A row with single colons is not a row of ratings.dat."""
    folder = write(tmp_path / "bad", ratings__dat="1::2::3::4\n1:2:3:4\n")
    with pytest.raises(DataError, match=r"ratings\.dat line 2 must hold 4 fields"):
        read_dataset(folder)


def test_kaggles_copy_has_other_names_and_dates(tmp_path):
    """Quoted cells, times as dates in UTC, and titles beside them: the article moves, the second name stays."""
    folder = write(
        tmp_path / "kaggle",
        rating__csv='"userId","movieId","rating","timestamp"\n"1","29","4.0","2005-04-02 23:31:16"\n',
        movie__csv='"movieId","title","genres"\n"29","City of Lost Paper, The (Cité, La) (1995)","Adventure|Drama"\n',
    )
    dataset = read_dataset(folder)
    assert tuples(dataset) == [("1", "29", 4.0, 1_112_484_676_000)]
    assert dataset.catalogue.find("29") == Item("29", "The City of Lost Paper (Cité, La)", 1995, ("Adventure", "Drama"))


def test_a_table_may_be_compressed(tmp_path):
    """The same rows as those of the plain file; one that is cut short is told as unreadable."""
    plain = b"user,item,ts\n1,2,5\n"
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(plain))
    assert tuples(read_dataset(tmp_path / "log.csv.gz")) == [("1", "2", 5.0, 5000)]
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(plain)[:-9])
    with pytest.raises(DataError, match=r"log\.csv\.gz must be readable"):
        read_dataset(tmp_path / "log.csv.gz")


def test_csv_headers_are_checked(tmp_path):
    """Columns in another order are read by their names, and one that is missing is named."""
    folder = write(tmp_path / "turned", ratings__csv="movieId,userId,rating,timestamp\n1,2,3,4\n")
    assert tuples(read_dataset(folder)) == [("2", "1", 3.0, 4000)]
    folder = write(tmp_path / "bad", ratings__csv="movieId,rating,timestamp\n1,3,4\n")
    with pytest.raises(DataError, match=r"ratings\.csv line 1 must name a column user_id"):
        read_dataset(folder)


@pytest.mark.parametrize(
    ("movies", "message"),
    [
        ("movieId,title,genres\n2,two,more,Drama\n", "line 2 must hold 3 fields, got 4"),
        ('movieId,title,genres\n1,"open,Drama\n', "must be quoted CSV"),
        ("id,title,genres\n", "line 1 must be movieId,title,genres"),
        ("movieId,title,genres\n,no id,Drama\n", "line 2 must hold an item id and a title"),
    ],
)
def test_bad_items_are_told_with_file_and_line(tmp_path, movies, message):
    """Each breach of movies.csv names its line, where no row of it can be read."""
    folder = write(tmp_path / "bad", ratings__csv="userId,movieId,rating,timestamp\n1,1,3,4\n", movies__csv=movies)
    with pytest.raises(DataError, match=message):
        read_dataset(folder)


@pytest.mark.parametrize(
    ("name", "table", "titles", "notes"),
    [
        (
            *("movies.csv", 'movieId,title,genres\n1,"a, b",Drama\n2,two,more,Drama\n3,,Drama\n4,Four,Drama\n'),
            *(["a, b", "3", "Four"], ["1 row", "movies.csv line 3 must hold 3 fields, got 4"]),
        ),
        (
            *("movies.csv", 'movieId,title,genres\n1,"open,Drama\n2,"Two, The",Drama\n3,"stray" quote,Drama\n'),
            *(["The Two"], ["2 rows", "movies.csv line 2 must be quoted CSV"]),
        ),
        (
            *("movies.csv", 'movieId,title,genres\n1,One,Drama\n2,"open,Drama\n3,Three,Drama\n'),
            *(["One", "Three"], ["1 row", "movies.csv line 3 must be quoted CSV"]),
        ),
        (
            *("books.csv", 'movieId;title;by\n"1";"Level 4\\";Ann";"x"\n"2";"Two\\";Ann"\n"3";"Three";"Ann"\n'),
            *(['Level 4";Ann', "Three"], ["1 row", "books.csv line 3 must hold 3 fields, got 2"]),
        ),
        (
            *("books.csv", 'movieId;title;by\n"1";"open;Ann\n"2";"Two";"Ann"\n'),
            *(["Two"], ["1 row", "books.csv line 2 must be quoted CSV"]),
        ),
        (
            *("meta.json", '{"movieId": 1, "title": "One"}\n{"movieId": 2}\n{"movieId": 3,\n[4]\n'),
            *(["One", "2"], ["2 rows", "meta.json line 3 must hold one object"]),
        ),
    ],
)
def test_one_bad_row_of_items_does_not_end_the_reading(tmp_path, name, table, titles, notes):
    """It is counted in a note with its line, and the rows behind it are read; without a title the id is the title."""
    log = "userId,movieId,rating,timestamp\n1,1,3,4\n"
    dataset = read_dataset(write(tmp_path / "bad", ratings__csv=log, **{name.replace(".", "__"): table}))
    found = [item.title for item in dataset.catalogue if item.title != "1"]
    assert found == titles
    assert any(all(part in note for part in notes) for note in dataset.notes)


def test_a_bad_row_of_dat_items_does_not_end_the_reading(tmp_path):
    """As releases of MovieTweetings have: an empty title, and a separator within one."""
    folder = write(
        tmp_path / "dat",
        ratings__dat="1::0114508::8::1381006850\n",
        movies__dat="0114508::Sp (1995)::Horror\n0003772::::\n0003773::A::B (2000)::Drama\n",
    )
    dataset = read_dataset(folder)
    assert [item.title for item in dataset.catalogue] == ["Sp", "0003772"]
    assert any("movies.dat line 3 must hold 3 fields, got 4" in note for note in dataset.notes)


def test_a_torn_neighbour_does_not_end_the_reading(tmp_path):
    """Of a folder it is told; where nothing else may be a log, it is the reason."""
    torn = gzip.compress(b"user_id,item_id,timestamp\na,x,1\n" * 9)[:-12]
    folder = write(tmp_path / "torn", other__csv__gz=torn, other__parquet=b"PAR1 torn")
    with pytest.raises(DataError, match=r"other\.csv\.gz must be readable"):
        read_dataset(folder)
    write(folder, plays__csv="user_id,item_id,timestamp\na,x,1700000000\n")
    assert tuples(read_dataset(folder / "plays.csv"))[0][:2] == ("a", "x")
    dataset = read_dataset(folder)
    assert tuples(dataset)[0][:2] == ("a", "x")
    assert [note.partition("/torn/")[2][:13] for note in dataset.notes] == ["other.csv.gz ", "other.parquet"]


def test_no_rows_are_an_error(tmp_path):
    """An empty log cannot be replayed."""
    with pytest.raises(DataError, match="must hold ratings, got no rows"):
        read_dataset(write(tmp_path / "empty", u__data=""))


def test_nothing_at_a_path_is_told(tmp_path):
    """A missing path and a folder without a log are different messages."""
    with pytest.raises(DataError, match=r"a folder or file is required at .*nowhere"):
        read_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match="exactly one ratings file"):
        read_dataset(tmp_path)


def test_a_torn_zip_is_told(tmp_path, tab):
    """A member whose bytes changed is refused with the advice to fetch it again."""
    path = tmp_path / "torn.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tab / "u.data", "u.data")
    path.write_bytes(path.read_bytes().replace(b"8\t1\t5\t100", b"8\t1\t4\t100"))
    with pytest.raises(DataError, match=r"torn\.zip:u\.data must be readable, got BadZipFile.*again"):
        read_dataset(path)


def test_users_of_the_two_oldest_releases_have_hints(tmp_path):
    """Ages become bands, and occupations are words or numbers as the release has them; postal codes are left."""
    tab = write(tmp_path / "tab", u__data="1\t2\t3\t4\n", u__user="1|24|M|technician|85711\n2|53|F|other|94043\n")
    assert read_dataset(tab).hints == (UserHints("1", 18, "M", "technician"), UserHints("2", 50, "F", "other"))
    dat = write(tmp_path / "dat", ratings__dat="1::2::3::4\n", users__dat="1::F::1::10::48067\n2::M::56::16::70072\n")
    assert read_dataset(dat).hints == (UserHints("1", 0, "F", "10"), UserHints("2", 56, "M", "16"))


def test_a_log_without_a_file_of_users_has_no_hints(tmp_path):
    """Nothing is said of its users."""
    assert read_dataset(write(tmp_path / "tab", u__data="1\t2\t3\t4\n")).hints == ()


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ("1::F::1::10\n", r"users\.dat line 1 must hold 5 fields, got 4"),
        ("1::F::1::10::1\n2::F::old::10::1\n", r"users\.dat line 2 must hold a user id and an age in years"),
    ],
)
def test_a_bad_row_of_users_is_told_with_its_line(tmp_path, users, message):
    """It is no hint that could be left out: the file is another than it seems."""
    with pytest.raises(DataError, match=message):
        read_dataset(write(tmp_path / "bad", ratings__dat="1::2::3::4\n", users__dat=users))


def tagged(folder, tags):
    """Return the items of a log with these tags."""
    files = {
        "ratings__csv": "userId,movieId,rating,timestamp\n1,10,4.0,100\n",
        "movies__csv": "movieId,title,genres\n10,Heat (1995),Crime\n11,Alien (1979),Horror\n",
    }
    return {item.item_id: item.tags for item in read_dataset(write(folder, **files, tags__csv=tags)).catalogue}


def test_films_have_their_commonest_tags(tmp_path):
    """Two users said "heist" in their own cases, one twice "slow": heist comes first; what is too long is left out."""
    header, long = "userId,movieId,tag,timestamp\n", "x" * 65
    said = ("1,10,Heist,5", "2,10,heist,6", "1,10,slow,7", "1,10,slow,8", '3,10,"cops, robbers",9', f"1,11,{long},9")
    found = tagged(tmp_path / "tagged", header + "\n".join(said) + "\n")
    assert found == {"10": ("heist", "cops, robbers", "slow"), "11": ()}


def test_tags_without_their_columns_are_refused(tmp_path):
    """The error names the file and the columns that it must have."""
    with pytest.raises(DataError, match=r"tags\.csv must be CSV with the columns userId, movieId, tag, got"):
        tagged(tmp_path / "wrong", "user,film\n1,10\n")

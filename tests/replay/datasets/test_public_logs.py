"""Folders as public logs are published, neighbours that are no logs among them; all rows are made up."""

import gzip

import pyarrow as pa
import pyarrow.parquet as arrow_parquet
import pytest

from model.catalogue import Item
from model.kinds import DEFAULT_KINDS, EventKind, KindTable
from replay.datasets.options import LogOptions
from replay.datasets.readers import read_dataset
from streams.errors import DataError

LETTERBOXD = "Date,Name,Year,Letterboxd URI"
FOLDERS = {
    "ml-100k": (
        {
            "u.data": "196\t242\t3\t881250949\n",
            "u1.base": "196\t242\t3\t881250949\n",
            "ua.test": "196\t242\t3\t881250949\n",
            "u.genre": "unknown|0\nAction|1\n",
        },
        [("196", "242", 3.0)],
        "242",
    ),
    "ml-10m": (
        {
            "ratings.dat": "1::122::4.5::838985046\n",
            "tags.dat": "15::4973::excellent!::1215184630\n",
            "movies.dat": "122::Boom (1992)::Comedy\n",
        },
        [("1", "122", 4.5)],
        "Boom",
    ),
    "ml-25m": (
        {
            "ratings.csv": "userId,movieId,rating,timestamp\n1,3,4.0,964981247\n",
            "movies.csv": 'movieId,title,genres\n3,"Grumps, The (1995)",Comedy\n',
            "tags.csv": "userId,movieId,tag,timestamp\n1,3,slow,964981248\n",
            "links.csv": "movieId,imdbId,tmdbId\n3,1,2\n",
            "genome-scores.csv": "movieId,tagId,relevance\n3,1,0.02\n",
        },
        [("1", "3", 4.0)],
        "The Grumps",
    ),
    "amazon 2014, ratings only": (
        {"ratings_Books.csv": "AH2L9G3DQHHAJ,0000000116,4.0,1019865600\nA2IIIDRK3PRRZY,000000086X,1.0,1395619200\n"},
        [("AH2L9G3DQHHAJ", "0000000116", 4.0), ("A2IIIDRK3PRRZY", "000000086X", 1.0)],
        "0000000116",
    ),
    "amazon 2018, ratings only": (
        {"Books.csv": "B000ABCDEF,A1C6M8LCIX4M6M,5.0,1112140800\n0001713353,A1REUF3A1YCPHM,2.0,1123804800\n"},
        [("A1C6M8LCIX4M6M", "B000ABCDEF", 5.0), ("A1REUF3A1YCPHM", "0001713353", 2.0)],
        "B000ABCDEF",
    ),
    "amazon 2014, with what Python prints of items": (
        {
            "reviews.json": '{"reviewerID": "A1", "asin": "07", "overall": 4.0, "unixReviewTime": 1355616000, '
            '"reviewTime": "12 16, 2012"}\n',
            "meta.json": "{'asin': '07', 'categories': [['Books', 'Slice of Life']], 'title': 'The Pot'}\n",
        },
        [("A1", "07", 4.0)],
        "The Pot",
    ),
    "amazon 2023": (
        {
            "Books.jsonl": '{"rating": 1.0, "title": "Not", "asin": "B1", "parent_asin": "B9", "user_id": "AF", '
            '"timestamp": 1642399598485}\n',
            "meta_Books.jsonl": '{"title": "Tales", "categories": ["Books"], "parent_asin": "B9"}\n',
        },
        [("AF", "B9", 1.0)],
        "Tales",
    ),
    "kuairand": (
        {
            "log_random.csv": "user_id,video_id,date,hourmin,time_ms,is_click,play_time_ms,duration_ms,tab\n"
            "0,11,20220411,2100,1649682049637,0,2635,26350,1\n0,12,20220411,2100,1649682049638,0,0,0,1\n",
            "user_features.csv": "user_id,user_active_degree\n0,high\n",
            "video_features.csv": "video_id,author_id,video_type\n11,3,NORMAL\n",
        },
        [("0", "11", 0.5), ("0", "12", 0.0)],
        "11",
    ),
    "netflix": (
        {
            "combined_data_1.txt": "1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n",
            "combined_data_2.txt": "4500:\n2532865,4,2005-07-26\n",
            "probe.txt": "1:\n30878\n",
            "qualifying.txt": "1:\n1046323,2005-12-19\n",
            "movie_titles.csv": "1,2003,Dinos\n4500,NULL,Cities, The\n",
        },
        [("822109", "1", 5.0), ("2532865", "4500", 4.0), ("1488844", "1", 3.0)],
        "Dinos",
    ),
    "movietweetings": (
        {
            "ratings.dat": "1::0114508::8::1381006850\n",
            "users.dat": "1::139564917\n",
            "movies.dat": "0114508::Sp (1995)::\n",
        },
        [("1", "0114508", 4.0)],
        "Sp",
    ),
    "letterboxd": (
        {
            "ratings.csv": f"{LETTERBOXD},Rating\n2021-01-01,Foo,2019,https://boxd.it/a,4.5\n",
            "diary.csv": f"{LETTERBOXD},Rating,Rewatch,Tags,Watched Date\n2021-01-01,Foo,2019,https://boxd.it/x,4.5,,,2021-01-01\n",
            "watched.csv": f"{LETTERBOXD}\n2021-01-01,Foo,2019,https://boxd.it/a\n",
            "watchlist.csv": f"{LETTERBOXD}\n2021-01-01,Bar,2019,https://boxd.it/b\n",
            "profile.csv": "Date Joined,Username,Given Name\n2020-01-01,x,\n",
        },
        [("me", "https://boxd.it/a", 4.5)],
        "Foo",
    ),
    "imdb, as it once was": (
        {
            "ratings.csv": '"position","const","created","Title","Title type","You rated","Year","Genres"\n'
            '"1","tt01","Sun Mar  1 00:00:00 2015","Shore","Feature Film","7","1994","crime, drama"\n'
        },
        [("me", "tt01", 3.5)],
        "Shore",
    ),
    "retailrocket": (
        {
            "events.csv": "timestamp,visitorid,event,itemid,transactionid\n1433221332117,25,view,35,\n",
            "item_properties_part1.csv": "timestamp,itemid,property,value\n1435460400000,35,categoryid,1338\n",
            "category_tree.csv": "categoryid,parentid\n1016,213\n",
        },
        [("25", "35", 5.0)],
        "35",
    ),
    "goodreads, lines of JSON": (
        {
            "goodreads_interactions.json.gz": '{"user_id": "88", "book_id": "13", "isRead": true, "rating": 4, '
            '"date_added": "Mon Aug 01 13:41:57 -0700 2011", "read_at": ""}\n'
            '{"user_id": "88", "book_id": "14", "isRead": true, "rating": 0, '
            '"date_added": "Tue Aug 02 13:41:57 -0700 2011", "read_at": ""}\n',
            "goodreads_books.json.gz": '{"book_id": "13", "title": "The Book", "publication_year": "1987"}\n',
        },
        [("88", "13", 4.0), ("88", "14", 5.0)],
        "The Book",
    ),
    "book-crossing": (
        {
            "BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"\n"27";"034545104X";"0"\n"2";"0155061224";"5"\n',
            "BX-Books.csv": '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication"\n'
            '"034545104X";"Caf\xe9 \\"Quoted\\"; two";"M";"2002"\n',
            "BX-Users.csv": '"User-ID";"Location";"Age"\n"1";"a, b";NULL\n',
        },
        [("27", "034545104X", 5.0), ("2", "0155061224", 2.5)],
        'Caf\xe9 "Quoted"; two',
    ),
    "steam, hours": (
        {"steam-200k.csv": '15,"The Tower, Two",purchase,1.0,0\n15,"The Tower, Two",play,27.0,0\n'},
        [("15", "The Tower, Two", 5.0)] * 2,
        "The Tower, Two",
    ),
    "steam, recommendations": (
        {
            "recommendations.csv": "app_id,helpful,date,is_recommended,hours,user_id\n30,4,2017-02-17,false,1.5,2\n"
            "97,0,2022-12-12,true,36.3,5\n",
            "games.csv": "app_id,title,date_release\n30,Dwarf,2022-01-01\n",
            "users.csv": "user_id,products,reviews\n5,1,1\n",
        },
        [("2", "30", 0.5), ("5", "97", 5.0)],
        "Dwarf",
    ),
    "recbole, visits": (
        {"g.inter": "user_id:token\titem_id:token\ttimestamp:float\tlatitude:float\n0\t22\t1287532527.0\t30.2\n"},
        [("0", "22", 5.0)],
        "22",
    ),
    "recbole, businesses": (
        {
            "y.inter": "review_id:token\tuser_id:token\tbusiness_id:token\tstars:float\tdate:float\n"
            "x\tu\tb\t5.0\t1519862400.0\n",
            "y.item": "business_id:token\titem_name:token_seq\tcategories:token_seq\nb\tFoo Bar\tGolf, Active Life\n",
        },
        [("u", "b", 5.0)],
        "Foo Bar",
    ),
    "myanimelist": (
        {
            "rating.csv": "user_id,anime_id,rating\n1,20,-1\n1,24,8\n",
            "anime.csv": "anime_id,name,genre,type,rating\n20,Leaf,Slice of Life,TV,7.81\n",
        },
        [("1", "20", 5.0), ("1", "24", 4.0)],
        "Leaf",
    ),
    "hetrec": (
        {
            "user_artists.dat": "userID\tartistID\tweight\n2\t51\t13883\n",
            "artists.dat": "id\tname\turl\tpictureURL\n51\tThe Pots\tu\tp\n",
            "user_friends.dat": "userID\tfriendID\n2\t275\n",
            "user_taggedartists.dat": "userID\tartistID\ttagID\tday\tmonth\tyear\n2\t51\t13\t1\t4\t2009\n",
        },
        [("2", "51", 5.0)],
        "The Pots",
    ),
    "goodbooks": (
        {
            "ratings.csv": "user_id,book_id,rating\n1,258,5\n",
            "books.csv": "book_id,authors,original_publication_year,title\n258,A,2008.0,Shade\n",
            "to_read.csv": "user_id,book_id\n9,8\n",
            "tags.csv": "tag_id,tag_name\n1,slow\n",
            "book_tags.csv": "goodreads_book_id,tag_id,count\n1,1,3\n",
        },
        [("1", "258", 5.0)],
        "Shade",
    ),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_as_it_is_published_is_read(tmp_path, name):
    """The log is found among its neighbours, and the first item has its title."""
    files, expected, title = FOLDERS[name]
    for file, text in files.items():
        data = text.encode("latin-1")
        (tmp_path / file).write_bytes(gzip.compress(data) if file.endswith(".gz") else data)
    log = read_dataset(tmp_path)
    assert list(log.interactions[["user_id", "item_id", "rating"]].itertuples(index=False, name=None)) == expected
    assert log.catalogue.find(expected[0][1]).title == title or title in {item.title for item in log.catalogue}


@pytest.mark.parametrize(
    ("log", "neighbour", "expected"),
    [
        (
            "Const,Your Rating,Date Rated,Title,Year,Genres\ntt01,9,2023-03-01,Harbour,2019,Drama\n",
            "Position,Const,Created,Title,Year,Genres,Your Rating,Date Rated\n1,tt99,2021-05-01,Other,1994,Drama,,\n",
            [Item("tt01", "Harbour", 2019, ("Drama",))],
        ),
        (
            f"{LETTERBOXD},Rating\n2024-01-05,Harbour,2019,https://boxd.it/a,4.5\n",
            f"{LETTERBOXD}\n2024-01-05,Other,2019,https://boxd.it/b\n",
            [Item("https://boxd.it/a", "Harbour", 2019)],
        ),
        (
            "user_id,track_id,track,timestamp\na,1,One,1700000000\na,2,Two,1700000001\n",
            "track_id,title,genre\n1,First,Rock\n3,Three,Pop\n",
            [Item("1", "One", None, ("Rock",)), Item("3", "Three", None, ("Pop",)), Item("2", "Two")],
        ),
    ],
)
def test_titles_of_the_log_stay_beside_another_table(tmp_path, log, neighbour, expected):
    """A watchlist is no table of items; one that lacks items, or calls them otherwise, adds to what the log says."""
    (tmp_path / "log.csv").write_text(log)
    (tmp_path / "other.csv").write_text(neighbour)
    assert list(read_dataset(tmp_path / "log.csv").catalogue) == expected


def test_two_logs_of_one_layout_are_one_too_many(tmp_path):
    """As KuaiRec's matrices are; their paths tell them apart."""
    for name in ("big_matrix.csv", "small_matrix.csv"):
        (tmp_path / name).write_text("user_id,video_id,timestamp,watch_ratio\n0,3,1593878903.438,1.27\n")
    with pytest.raises(DataError, match=r"exactly one .* got \['big_matrix.csv', 'small_matrix.csv'\]"):
        read_dataset(tmp_path)
    assert len(read_dataset(tmp_path / "big_matrix.csv").interactions) == 1


def test_parquet_may_tell_kinds_and_hold_lists(tmp_path):
    """Likes have no share and count in full; a row of lists is as many events as they are long."""
    several = {
        "uid": [100, 100, 101],
        "timestamp": [5, 10, 15],
        "item_id": [1, 2, 3],
        "event_type": ["listen", "like", "listen"],
        "played_ratio_pct": [100, None, 5],
    }
    arrow_parquet.write_table(pa.table(several), tmp_path / "several.parquet")
    rows = read_dataset(tmp_path / "several.parquet").interactions
    assert rows[["kind", "weight", "is_positive"]].to_numpy().tolist() == [
        ["listen", 1.0, True],
        ["like", 1.0, True],
        ["listen", 0.05, False],
    ]
    lists = {
        "uid": [100, 101],
        "item_id": [[1, 2], [3]],
        "timestamp": [[5, 10], [15]],
        "played_ratio_pct": [[100, 5], [50]],
    }
    arrow_parquet.write_table(pa.table(lists), tmp_path / "lists.parquet")
    rows = read_dataset(tmp_path / "lists.parquet").interactions
    assert rows[["user_id", "item_id", "weight"]].to_numpy().tolist() == [
        ["100", "1", 1.0],
        ["100", "2", 0.05],
        ["101", "3", 0.5],
    ]


def test_dislikes_are_no_likes(tmp_path):
    """Nor is taking one back, unless the table of kinds says so; where there are ratings, these tell."""
    several = {
        "uid": [100] * 5,
        "timestamp": [5, 10, 15, 20, 25],
        "item_id": [1, 2, 3, 4, 5],
        "event_type": ["listen", "like", "dislike", "unlike", "undislike"],
        "played_ratio_pct": [100, None, None, None, None],
    }
    arrow_parquet.write_table(pa.table(several), tmp_path / "several.parquet")
    log = read_dataset(tmp_path / "several.parquet")
    assert log.interactions["weight"].tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert log.positive().tolist() == [True, True, False, False, False]
    assert any("kinds dislike, unlike, undislike are no likes" in note for note in log.notes)
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,event_type,timestamp\na,x,like,1700000000\na,y,Dislike,1700000001\n")
    log = read_dataset(path)
    assert (log.positive().tolist(), log.interactions["weight"].tolist()) == ([True, False], [1.0, 0.0])
    own = KindTable.of([*DEFAULT_KINDS.rows, EventKind("Dislike", 0.5, is_positive=False)])
    assert read_dataset(path, kinds=own).interactions["weight"].tolist() == [1.0, 0.5]
    path.write_text("user_id,item_id,kind,rating,timestamp\na,x,like,5,1700000000\na,y,dislike,1,1700000001\n")
    assert read_dataset(path).interactions["rating"].tolist() == [5.0, 1.0]


def test_nested_lists_of_events_are_refused(tmp_path):
    """As one of Steam's files has them: the columns that there are, and what is missing, are told."""
    (tmp_path / "reviews.json").write_text("{'user_id': '7', 'reviews': [{'item_id': '1250', 'recommend': True}]}\n")
    with pytest.raises(DataError, match=r"a column item_id.*got \['user_id', 'reviews'\]"):
        read_dataset(tmp_path / "reviews.json")


def test_ids_that_are_numbers_stay_as_they_are_written(tmp_path):
    """A zero in front makes another id, also where it comes late; numbers of any length are told apart."""
    lines = [f"{n},{10**12 + n},5" for n in range(1, 2000)]
    (tmp_path / "log.csv").write_text("\n".join(["user_id,item_id,ts", *lines, "007,7,5", "7,07,5", ""]))
    rows = read_dataset(tmp_path / "log.csv").interactions
    assert {"7", "007"} <= set(rows["user_id"])
    assert {"7", "07", "1000000000007"} <= set(rows["item_id"])
    assert rows["user_id"].nunique() == 2000


def test_a_bad_row_of_parquet_is_told_by_its_number(tmp_path):
    """There are no lines."""
    table = pa.table({"user_id": ["a", "b"], "item_id": ["x", "y"], "timestamp": [5, 6], "rating": [4.0, 50.0]})
    arrow_parquet.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"log\.parquet row 2 must hold a rating.*got 'b,y,6,50.0'"):
        read_dataset(tmp_path / "log.parquet")
    assert read_dataset(tmp_path / "log.parquet", options=LogOptions(skip_bad=True)).left_out == {
        "rating outside the scale": 1
    }

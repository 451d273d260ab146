"""How near strings without sense come to a catalogue's items, and requests whose words are on no list.

    python -m benchmarks.intent.senseless ml-1m.zip

A string whose nearest item is less near than ``MIN_LIKENESS`` is told as not understood.
"""

import argparse

from model.intent.intent import MIN_LIKENESS, Intent
from replay.datasets.readers import read_dataset
from streams.sentence_weights import load_encoder

SENSELESS = (
    *("asdf qwer zxcv", "qwertz uiop", "xkcd blorp fnord", "jjjjj", "lorem ipsum dolor sit amet", "hfjdk slqow pzm"),
    *("12345", "!!!", "blablabla", "aaaaaaa bbbbbb", "zxqv", "wubba lubba", "gnrk flmp", "asdfghjkl", "ttttt yyyyy"),
    *("foo bar baz", "kdjfh kjdhf kjsdhf", "qqq www eee rrr", "xyzzy plugh", "the of and", "sdkfj lskdjf slkdjf wer"),
    *("mxyzptlk", "uuuuuhhhh", "fsdfsd"),
)
REQUESTS = (
    *("a heist with a twist", "lonely man in space", "something for a rainy sunday", "dinosaurs", "boxing champion"),
    *("talking pig", "submarine", "vampires in love", "courtroom", "wrongly imprisoned", "time travel", "robots"),
    *("pirates at sea", "a dog saves a boy", "quiet and slow", "mind bending", "chess", "baseball", "surfing"),
    *("nuns singing", "a shark", "ghosts in a hotel", "hackers", "spies", "kung fu"),
)


def main() -> None:
    """Print how many of both kinds are told as not understood, and which are not as they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", help="a log of MovieLens")
    intent = Intent(read_dataset(parser.parse_args().log).catalogue, load_encoder())
    for name, texts, is_wanted in (("senseless", SENSELESS, False), ("requests", REQUESTS, True)):
        listed = [text for text in texts if intent.read(text).item_scores.any()]
        wrong = sorted(set(texts) ^ set(listed)) if is_wanted else listed
        print(f"{name}: {len(listed)} of {len(texts)} move items (cosine from {MIN_LIKENESS}); not as wanted: {wrong}")


if __name__ == "__main__":
    main()

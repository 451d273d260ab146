"""Words that carry a sentence and say nothing of a film, and those that forbid, compare or count years: data, no code.

English, German and French. Words are folded as those of ``model.intent.genre_words``.
"""

__all__ = [
    "BETWEEN",
    "DECADES",
    "EXAMPLES",
    "FILLERS",
    "FORBIDDING",
    "JOINING",
    "OLD",
    "ONWARDS",
    "STOPS",
    "STRENGTHS",
    "YEAR_BOUNDS",
]

FILLERS = frozenset(
    (  # noqa: SIM905 - three languages of small words are read best as text
        # English
        "a an the some any something anything i i'm i'd me my we us our you your it its it's is are was be "
        "been to of for in on at by with about from and or that this these those which who want wants would "
        "like need needs looking look find show give watch watching see please movie movies film films flick "
        "flicks picture pictures one ones thing things stuff good great best nice really very just bit little "
        "lot more most so as also than set made kind sort type genre tonight evening today night weekend two "
        "up recommend suggest list new make makes made let let's can could should do does there here story "
        "stories classic classics "
        # German
        "ein eine einen einem einer eines der die das den dem des und oder mit fur von aus im in zu zum zur "
        "auf ich wir mich mir uns mochte will wollen suche such zeig zeige gib bitte etwas was irgendwas "
        "filme filmen streifen heute abend gut gute guten guter gutes schon schone sehr mal noch auch ganze "
        "ganzen ist sind sein jahre jahren jahr "
        # French
        "un une des le la les du de d au aux et ou avec pour dans sur que qui je nous veux voudrais cherche "
        "montre donne quelque chose quelquechose ce soir svp plait bon bonne bons tres est sont films annees "
        "annee "
    ).split()
)
FORBIDDING = (
    *(
        "anything but",
        "nothing",
        "without",
        "not",
        "no",
        "never",
        "except",
        "isn't",
        "aren't",
        "don't",
        "minus",
        "avoid",
    ),
    *("keine", "keinen", "keiner", "kein", "ohne", "nicht", "nichts", "ausser", "bloss kein"),
    *("sans", "pas de", "pas d", "pas", "aucun", "aucune", "sauf", "rien"),
)
# They end what is forbidden.
STOPS = frozenset(
    ["but", "aber", "mais", "however", "though", "sondern", "please", "bitte", "although"]
)  # they end what is forbidden
JOINING = frozenset(["and", "or", "nor", "oder", "und", "noch", "et", "ou", "ni"])
# "not too scary" forbids what is scary.
STRENGTHS = frozenset(
    ["too", "very", "so", "overly", "zu", "sehr", "trop", "tres", "much"]
)  # "not too scary" forbids what is scary
EXAMPLES = (
    *("similar to", "something like", "movies like", "films like", "in the style of", "in the vein of", "such as"),
    *("reminds me of", "more like", "like"),
    *("ahnlich wie", "so wie", "im stil von", "wie"),
    *("similaire a", "dans le style de", "du genre de", "comme"),
)
YEAR_BOUNDS = {  # phrase before a year or a decade: which end it sets, and whether the year itself is within
    **dict.fromkeys(("before", "older than", "earlier than", "vor", "alter als", "avant"), ("to", False)),
    **dict.fromkeys(
        ("until", "up to", "not after", "nothing after", "nothing newer than", "not newer than"), ("to", True)
    ),
    **dict.fromkeys(
        ("no newer than", "bis", "nichts nach", "nicht nach", "jusqu'en", "rien apres", "pas apres"), ("to", True)
    ),
    **dict.fromkeys(("nothing older than", "not older than", "no older than", "nothing before"), ("from", True)),
    **dict.fromkeys(
        ("not before", "since", "nichts vor", "nicht vor", "nicht alter als", "ab", "seit"), ("from", True)
    ),
    **dict.fromkeys(("nichts alteres als", "depuis", "rien avant", "pas avant", "a partir de"), ("from", True)),
    **dict.fromkeys(("after", "newer than", "later than", "nach", "neuer als", "apres"), ("from", False)),
}
ONWARDS = frozenset(["on", "onward", "onwards", "later", "aufwarts"])  # "from 1990 on"
BETWEEN = ("between", "zwischen", "entre")
OLD = (
    "black and white",
    "silent",
    "old",
    "alte",
    "alter",
    "altes",
    "schwarz weiss",
    "vieux",
    "ancien",
    "noir et blanc",
)
DECADES = {
    "twenties": 1920,
    "thirties": 1930,
    "forties": 1940,
    "fifties": 1950,
    "sixties": 1960,
    "seventies": 1970,
    "eighties": 1980,
    "nineties": 1990,
    "noughties": 2000,
    "zwanziger": 1920,
    "dreissiger": 1930,
    "vierziger": 1940,
    "funfziger": 1950,
    "sechziger": 1960,
    "siebziger": 1970,
    "achtziger": 1980,
    "neunziger": 1990,
    "annees cinquante": 1950,
    "annees soixante dix": 1970,
    "annees soixante": 1960,
    "annees quatre vingt dix": 1990,
    "annees quatre vingt": 1980,
}

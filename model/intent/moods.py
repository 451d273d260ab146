"""Moods and wishes as genres: how strongly a word speaks for each, in English, German and French: data, no code.

A row is an anchor: the English phrase that stands for it where sentences are compared, the words that name it, and the
genres of MovieLens with their priors, 0..1. ``is_sure`` tells anchors that hardly ever mean anything else; they count
more (``model.intent.intent``). Words are folded as those of ``model.intent.genre_words``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["MOODS", "Mood"]


@dataclass(frozen=True, slots=True)
class Mood:
    """One anchor.

    Parameters
    ----------
    english : the phrase that is encoded.
    words : comma-separated, that name it.
    priors : how strongly it speaks for a genre, 0..1.
    is_sure : whether it hardly means anything else.
    """

    english: str
    words: str
    priors: Mapping[str, float]
    is_sure: bool = True


MOODS = (
    Mood(
        "funny",
        "funny, hilarious, humorous, humor, humour, humorvoll, laugh, laughs, laughter, lol, witty, silly, "
        "goofy, lustig, witzig, komisch, spassig, lachen, zum lachen, drole, droles, marrant, rigolo, rire, "
        "amusant",
        {"Comedy": 0.9},
    ),
    Mood(
        "scary",
        "scary, scare, scares, scared, frightening, frightened, terrifying, terror, creepy, spooky, "
        "nightmare, gore, gory, blood, bloody, gruselig, gruseln, unheimlich, schaurig, angst, "
        "furchterregend, effrayant, effrayants, peur, terrifiant, angoissant",
        {"Horror": 0.7, "Thriller": 0.3},
    ),
    Mood(
        "romantic",
        "romantic, romantisch, love, lovers, date night, in love, falling in love, liebevoll, verliebt, "
        "romantique, romantiques, amour, amoureux",
        {"Romance": 0.7, "Drama": 0.3},
    ),
    Mood(
        "feel-good",
        "feel good, feelgood, uplifting, cheerful, cheer up, cheer me up, cheering, cheering up, happy, light hearted, "
        "lighthearted, easy, relaxing, relaxed, gute laune, frohlich, heiter, leicht, bonne humeur, joyeux, leger",
        {"Comedy": 0.7, "Romance": 0.3, "Musical": 0.3},
        is_sure=False,
    ),
    Mood(
        "heart-warming",
        "heart warming, heartwarming, cosy, cozy, warm, sweet, charming, gemutlich, herzerwarmend, tendre, chaleureux",
        {"Comedy": 0.5, "Romance": 0.5, "Children's": 0.4},
        is_sure=False,
    ),
    Mood(
        "sad and moving",
        "sad, cry, cries, crying, weep, tears, tear jerker, tearjerker, moving, touching, heartbreaking, "
        "tragic, tragedy, melancholic, traurig, weinen, ruhrend, bewegend, tragisch, triste, tristes, "
        "pleurer, emouvant, tragique",
        {"Drama": 0.8, "Romance": 0.3},
    ),
    Mood(
        "suspenseful",
        "suspenseful, edge of my seat, edge of your seat, gripping, tense, tension, nail biting, exciting, "
        "thrilling, twist, twists, spannend, spannung, nervenkitzel, fesselnd, packend, haletant, palpitant",
        {"Thriller": 0.8, "Mystery": 0.3},
    ),
    Mood(
        "explosive action",
        "explosions, explosion, explosive, car chase, car chases, chases, shootout, shootouts, shoot out, "
        "fight, fights, fighting, gunfight, martial arts, kung fu, karate, stunts, explosionen, "
        "verfolgungsjagd, verfolgungsjagden, kampf, bagarre, fusillade, poursuites",
        {"Action": 0.9, "Thriller": 0.2},
    ),
    Mood(
        "mind-bending",
        "mind bending, mindbending, trippy, surreal, time travel, time machine, parallel worlds, zeitreise, "
        "zeitreisen, voyage dans le temps",
        {"Sci-Fi": 0.8, "Mystery": 0.3, "Thriller": 0.2},
        is_sure=False,
    ),
    Mood(
        "space and aliens",
        "space, aliens, spaceship, spaceships, outer space, galaxy, robot, robots, cyborg, cyborgs, future, "
        "futuristic, dystopia, dystopian, weltraum, weltall, ausserirdische, zukunft, roboter, espace, "
        "extraterrestres, futur",
        {"Sci-Fi": 0.9},
    ),
    Mood(
        "dark and gritty",
        "dark, gritty, bleak, noir like, brutal, violent, violence, duster, dunkel, finster, dusterer, hart, sombre, "
        "sombres, noirceur",
        {"Crime": 0.6, "Thriller": 0.5, "Film-Noir": 0.4, "Drama": 0.2},
        is_sure=False,
    ),
    Mood(
        "for the family",
        "family, families, whole family, little ones, familie, ganze familie, familienfilm, famille, toute la famille",
        {"Children's": 0.9, "Animation": 0.5},
    ),
    Mood(
        "battles and soldiers",
        "battle, battles, soldier, soldiers, army, armies, troops, soldat, soldaten, schlacht, schlachten, bataille, "
        "soldats, vietnam, world war, weltkrieg, guerre mondiale",
        {"War": 0.9, "Action": 0.3},
    ),
    Mood(
        "magic and fairy tales",
        "magic, magical, wizard, wizards, dragon, dragons, fairy, fairies, elves, witch, witches, zauber, "
        "zauberer, magie, drachen, hexe, sorcier, sorciers, feerique",
        {"Fantasy": 0.9, "Adventure": 0.4},
    ),
    Mood(
        "quests and journeys",
        "quest, journey, treasure, treasures, pirates, expedition, epic, jungle, schatz, schatzsuche, "
        "piraten, tresor, pirates",
        {"Adventure": 0.8, "Action": 0.3},
        is_sure=False,
    ),
    Mood(
        "criminals and heists",
        "heist, heists, robbery, bank robbery, con men, con artists, thieves, murder, murders, murderer, "
        "killer, killers, police, cops, cop, raub, uberfall, mord, morder, polizei, braquage, meurtre, "
        "meurtres, tueur",
        {"Crime": 0.8, "Thriller": 0.5},
    ),
    Mood(
        "puzzling investigation",
        "puzzle, puzzling, clues, clue, investigation, investigate, private eye, sleuth, geheimnis, geheimnisvoll, "
        "mysterieux, mysterious, enquete",
        {"Mystery": 0.8, "Film-Noir": 0.3, "Thriller": 0.3},
    ),
    Mood(
        "songs and dancing",
        "songs, singing, dancing, dance, sing along, broadway, lieder, tanzen, singen, gesang, chansons, "
        "danse, chantant",
        {"Musical": 0.9},
    ),
    Mood(
        "true story",
        "true story, true stories, real life, wahre geschichte, histoire vraie, serious, ernst, ernste, "
        "serieux, profound, thoughtful, deep, nachdenklich",
        {"Drama": 0.7},
        is_sure=False,
    ),
    Mood(
        "monsters and ghosts",
        "monster, monsters, ghost, ghosts, vampire, vampires, zombie, zombies, haunted, haunted house, demon, "
        "demons, werewolf, halloween, geister, geist, gespenst, vampir, vampire, fantome, fantomes, monstre, "
        "monstres",
        {"Horror": 0.8, "Thriller": 0.2},
    ),
)

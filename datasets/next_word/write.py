"""Generate the text that ``configs/next_word.yaml`` learns, by a small grammar of sentences about moving digits.

python datasets/next_word/write.py >framepred/data/datamodules/next_word.txt

Many words depend on others far before them: a verb agrees with its subject across a relative clause, a digit that flies
to one side bounces off that wall, and the object found at the end of a sentence is the one lost at its start. A Markov
chain of word pairs cannot learn these.
"""

import random

SIDES = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
KINDS = ("digit", "letter", "ball", "shadow")
COLOURS = ("red", "green", "white", "gray")
SEEN = ("that the camera saw", "behind the window", "in the first frame", "that nobody remembers")


def sentence(chance: random.Random) -> str:
    """Return one sentence, words and punctuation marks separated by spaces."""
    return chance.choice((_flight, _flight, _question, _memory))(chance) + " ."


def _flight(chance: random.Random) -> str:
    many, side = chance.random() < 0.5, chance.choice(list(SIDES))
    thing = _thing(chance, many)
    flies, bounces, they = ("fly", "bounce", "they") if many else ("flies", "bounces", "it")
    return (
        f"the {thing} {chance.choice(SEEN)} {flies} to the {side} , {bounces} off the {side} wall "
        f"and then {they} {flies} to the {SIDES[side]}"
    )


def _question(chance: random.Random) -> str:
    many, side = chance.random() < 0.5, chance.choice(list(SIDES))
    thing, is_, they = _thing(chance, many), *(("are", "they are") if many else ("is", "it is"))
    return f"where {is_} the {thing} that came from the {side} ? {they} now at the {SIDES[side]}"


def _memory(chance: random.Random) -> str:
    colour, kind = chance.choice(COLOURS), chance.choice(KINDS)
    return f"we lost a {colour} {kind} {chance.choice(SEEN)} , and after ten frames we found the {colour} {kind} again"


def _thing(chance: random.Random, many: bool) -> str:
    return f"{chance.choice(COLOURS)} {chance.choice(KINDS)}{'s' * many}"


if __name__ == "__main__":
    chance = random.Random(0)
    for _ in range(1000):
        print(sentence(chance))

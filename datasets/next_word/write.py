"""Writes the text that ``configs/next_word.yaml`` learns: a small grammar about digits that fly.

python datasets/next_word/write.py >framepred/data/datamodules/next_word.txt

What a word must be is often decided long before it: verbs agree with a subject across a relative clause, a digit that
flies to one side meets that wall and turns to the other, and what was lost in the beginning is found in the end. A
chain of word pairs cannot know any of these.
"""

import random

SIDES = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
KINDS = ("digit", "letter", "ball", "shadow")
COLOURS = ("red", "green", "white", "gray")
SEEN = ("that the camera saw", "behind the window", "in the first frame", "that nobody remembers")


def sentence(chance: random.Random) -> str:
    """One sentence, words and marks parted by blanks."""
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

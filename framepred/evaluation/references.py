"""Published results, from a small file in the package; they are quoted and never measured here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from framepred.errors import ConfigError, DataError
from framepred.evaluation.cards import Card

NOT_MEASURED = "published, not measured here"


@dataclass(frozen=True)
class Reference:
    """A published result.

    Attributes:
        name: such as ``openstl/convlstm-s``.
        model: the network and its training.
        data: names of the data sets that it may stand beside.
        protocol: name of the protocol.
        context: observed frames.
        horizon: predicted frames.
        metrics: the published metrics; papers often leave some out.
        source: the paper.
    """

    name: str
    model: str
    data: Sequence[str]
    protocol: str
    context: int
    horizon: int
    metrics: Mapping[str, float]
    source: str

    def mismatch(self, card: Card) -> str:
        """What differs between the published measurement and the card's; empty if nothing does."""
        found = {
            "data": (card.data.name, " or ".join(self.data), card.data.name in self.data),
            "protocol": (card.protocol.name, self.protocol, card.protocol.name == self.protocol),
            "context": (card.data.context, self.context, card.data.context == self.context),
            "horizon": (card.data.horizon, self.horizon, card.data.horizon == self.horizon),
        }
        return next((f"{what} {theirs}, not {ours}" for what, (ours, theirs, same) in found.items() if not same), "")


@cache
def references() -> Mapping[str, Reference]:
    """All published results by name."""
    text = files("framepred.evaluation").joinpath("references.json").read_text(encoding="utf-8")
    return {name: Reference(name, **fields) for name, fields in json.loads(text).items()}


def find_references(names: Sequence[str], card: Card) -> list[Reference]:
    """The published results of these names, each of which must fit the card.

    Raises:
        ConfigError: if a name is unknown.
        DataError: if a result was measured on other data, by another protocol, or with another context or horizon.
    """
    for name in names:
        if name not in references():
            raise ConfigError(f"There is no reference {name!r}; choose one of {', '.join(references())}.")
        mismatch = references()[name].mismatch(card)
        if mismatch:
            raise DataError(f"The reference {name} cannot stand beside {card.name}: it has {mismatch}.")
    return [references()[name] for name in names]


def fitting_references(card: Card) -> list[Reference]:
    """All published results that fit a card."""
    return [reference for reference in references().values() if not reference.mismatch(card)]

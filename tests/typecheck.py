"""The checker that tests put behind every annotation: beartype, where an int may stand for a float (PEP 484)."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))

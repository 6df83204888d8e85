from dataclasses import replace

import pytest

from framepred.errors import ConfigError
from framepred.evaluation import PROTOCOLS, find_protocol, frame_ssim_openstl, frame_ssim_wang2004


def test_wang2004_differs_from_openstl_in_ssim_alone() -> None:
    openstl, wang2004 = (dict(find_protocol(name).measures) for name in ("openstl", "wang2004"))
    assert openstl.pop("ssim").formula is frame_ssim_openstl
    assert wang2004.pop("ssim").formula is frame_ssim_wang2004
    assert openstl == wang2004


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_says_what_is_better(name: str) -> None:
    better = {metric: measure.higher_is_better for metric, measure in find_protocol(name).measures.items()}
    assert better == {"mse": False, "mae": False, "psnr": True, "ssim": True}


def test_a_protocol_without_mse_is_refused() -> None:
    openstl = PROTOCOLS["openstl"]
    with pytest.raises(ConfigError, match=r"The protocol mine has no metric mse.*add it"):
        replace(openstl, name="mine", measures={"mae": openstl.measures["mae"]})


def test_an_unknown_protocol_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'simvp'.*openstl, predrnn, wang2004"):
        find_protocol("simvp")

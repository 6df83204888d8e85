"""LPIPS (Zhang et al. 2018, arXiv:1801.03924) with AlexNet, through torchmetrics; needs AlexNet's ImageNet weights."""

from pathlib import Path

import torch
from torch import Tensor
from torchvision.models import AlexNet_Weights

from framepred.clips import Clip, PerFrame
from framepred.errors import ClipError, WeightsError
from framepred.evaluation.formulas import Truth
from framepred.evaluation.protocols import Measure, ProtocolVersion, find_protocol
from framepred.media.paths import expand_user

MIN_SIDE = 32  # pixels: AlexNet's three poolings leave nothing of smaller frames


def alexnet_path() -> Path:
    """Where torchvision keeps AlexNet's weights, whether or not they are there."""
    return Path(torch.hub.get_dir(), "checkpoints", AlexNet_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[-1])


class Lpips:
    """LPIPS of each frame, ``(b, t)``; gray frames are repeated in three channels, predictions clipped to [0, 1].

    Args:
        path: the weights of torchvision's AlexNet (``alexnet-owt-7be5be79.pth``); None looks in torch's cache. Nothing
            is downloaded. The linear layers on top come with torchmetrics.
        scaled: whether frames are scaled to [-1, 1], which the network expects. PredRNN's code passes them as they are.

    Raises:
        WeightsError: if the weights are missing or are not AlexNet's.
    """

    def __init__(self, path: Path | None = None, scaled: bool = True) -> None:
        from torchmetrics.functional.image.lpips import _NoTrainLpips

        self.scaled = scaled
        loaded = _read_features(path or alexnet_path())
        self.net = _NoTrainLpips(net="alex", pnet_rand=True)  # random features, replaced below: downloads nothing
        features = self.net.net
        own = {name: name.split(".", 1)[1] for name in features.state_dict()}  # slice2.3.weight holds features.3.weight
        try:
            features.load_state_dict({name: loaded[f"features.{layer}"] for name, layer in own.items()})
        except (KeyError, RuntimeError) as error:
            raise WeightsError(
                f"{path or alexnet_path()} does not hold the weights of torchvision's AlexNet; download "
                f"{AlexNet_Weights.IMAGENET1K_V1.url}."
            ) from error

    def __call__(self, pred: Clip, target: Truth) -> PerFrame:
        """LPIPS of each frame.

        Raises:
            ClipError: if the shapes differ, frames are smaller than 32 pixels, or have neither 1 nor 3 channels, or
                pixels of the target are missing (NaN).
        """
        if pred.shape != target.shape or pred.shape[2] not in (1, 3) or min(pred.shape[-2:]) < MIN_SIDE:
            raise ClipError(
                f"LPIPS compares clips (b, t, c, h, w) of one shape with 1 or 3 channels and at least {MIN_SIDE} × "
                f"{MIN_SIDE} pixels, not {tuple(pred.shape)} and {tuple(target.shape)}."
            )
        if target.isnan().any():
            raise ClipError("LPIPS needs every pixel of the true frames, and some are missing (NaN); leave LPIPS out.")
        net = self.net.to(pred.device)
        values: Tensor = net(_as_rgb(pred), _as_rgb(target), normalize=self.scaled)  # (b·t, 1, 1, 1)
        return values.reshape(pred.shape[:2]).double()


def lpips_measures(protocol: str | ProtocolVersion, lpips: bool | str | Path = True) -> dict[str, Measure]:
    """The metrics to add to those of a protocol: ``lpips``, and for ``predrnn`` also ``lpips_raw``.

    The latter is what ``core/trainer.py`` of github.com/thuml/predrnn-pytorch computes, and the papers of its authors
    report: frames in [0, 1] are given to a network that expects [-1, 1].

    Args:
        protocol: its name.
        lpips: whether to measure it; a path names AlexNet's weights, True looks for them in torch's cache.

    Raises:
        ConfigError: if there is no such protocol.
        WeightsError: if AlexNet's weights are missing.
    """
    if lpips is False:
        return {}
    path = None if lpips is True else expand_user(lpips)
    measures = {"lpips": Measure(Lpips(path), higher_is_better=False)}
    if find_protocol(protocol).name == "predrnn":
        measures["lpips_raw"] = Measure(Lpips(path, scaled=False), higher_is_better=False)
    return measures


def _as_rgb(clip: Clip) -> Tensor:
    frames: Tensor = clip.float().clamp(0, 1).flatten(0, 1)  # (b·t, c, h, w)
    return torch.cat([frames] * 3, dim=1) if clip.shape[2] == 1 else frames


def _read_features(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise WeightsError(
            f"LPIPS needs AlexNet's weights, and {path} does not exist; download {AlexNet_Weights.IMAGENET1K_V1.url} "
            "to that place, or give the path of a copy."
        )
    try:
        loaded: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return dict(loaded)
    except Exception as error:  # torch.load raises errors of many types on a damaged file
        raise WeightsError(f"{path} cannot be read as PyTorch weights; download it again.") from error

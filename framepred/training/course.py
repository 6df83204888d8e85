"""Settings that decide the course of a run, as plain values that its checkpoints keep and a resumed run must share.

They are flat: ``optimizer`` is the name of a class, ``optimizer.lr`` one of its settings, and ``optimizer.class`` the
name with its module, which earlier versions did not save.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from framepred.models.class_names import may_mean, saved_name

Settings: TypeAlias = dict[str, Any]

IMPLEMENTATION = {"params", "foreach", "fused", "capturable", "differentiable"}
"""Entries of an optimizer's parameter groups that do not say what a step computes."""
CLASS = ".class"
"""Ending of the settings that name a class with its module."""
PACKAGES = {"framepred", "torch", "lightning"}
"""Packages whose public classes may move from one module to another."""
NO_SETTINGS = {"training", "budget", "base_lrs", "last_epoch"}
"""Public attributes of losses and schedulers that may change in a run, or come from the optimizer."""


def settings(part: str, thing: object, values: Mapping[str, Any] | None = None) -> Settings:
    """Return the class of a part of the training and those of its settings that are plain values.

    Args:
        part: its name, such as ``loss``.
        thing: an instance of the class.
        values: the settings; None for the public attributes.

    Example:
        >>> settings("loss", nn.L1Loss())
        {'loss': 'L1Loss', 'loss.class': 'torch.L1Loss', 'loss.reduction': 'mean'}
    """
    if values is None:
        values = {name: value for name, value in vars(thing).items() if name[0] != "_" and name not in NO_SETTINGS}
    plain = {f"{part}.{name}": _plain(value) for name, value in values.items()}
    known = {name: value for name, value in plain.items() if value is not NotImplemented}
    return {part: type(thing).__name__} | class_setting(part, thing) | known


def class_setting(part: str, thing: object) -> Settings:
    """Return the class of a part with its module, or with the package alone where that may move its modules."""
    kind = type(thing)
    package = kind.__module__.partition(".")[0]
    return {f"{part}{CLASS}": f"{package}.{kind.__qualname__}" if package in PACKAGES else saved_name(kind)}


def loss_settings(loss: nn.Module) -> Settings:
    """Return the settings of a loss and of the losses that it consists of."""
    parts = [settings(name, module) for name, module in loss.named_modules(prefix="loss")]
    return {name: value for part in parts for name, value in part.items()}


def optimizer_settings(optimizer: Optimizer, scheduler: LRScheduler) -> Settings:
    """Return the settings of a new optimizer, one value for each parameter group, and of its new scheduler."""
    groups = [{**group, "lr": group.get("initial_lr", group["lr"])} for group in optimizer.param_groups]
    values = {name: [group.get(name) for group in groups] for name in groups[0].keys() - IMPLEMENTATION}
    values.pop("initial_lr", None)  # that is lr
    return settings("optimizer", optimizer, values) | settings("lr_scheduler", scheduler)


def differing(saved: Settings, wanted: Settings) -> set[str]:
    """Return the names of the settings that differ; other versions may know more settings, which do not count."""
    return {name for name in saved.keys() & wanted.keys() if not _agree(name, saved[name], wanted[name])}


def _agree(name: str, saved: Any, wanted: Any) -> bool:
    return bool(saved == wanted or (name.endswith(CLASS) and may_mean(saved, wanted)))


def _plain(value: object) -> Any:
    """Return a value as it is after saving and loading a checkpoint; ``NotImplemented`` for what is no plain value."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        values = [_plain(one) for one in value.values()]
        return NotImplemented if NotImplemented in values else dict(zip(map(str, value), values, strict=True))
    if isinstance(value, (list, tuple)):
        values = [_plain(one) for one in value]
        return NotImplemented if NotImplemented in values else values
    return NotImplemented

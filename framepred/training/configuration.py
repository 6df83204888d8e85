"""Configs of training: Lightning's command line over a YAML file, restricted to the classes of this field."""

import inspect
import json
import logging
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import yaml
from jsonargparse import Namespace
from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment, Precision
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.media.outputs import check_results_folder
from framepred.models.class_names import PACKAGE, exported_class
from framepred.models.exported import ExportedForecaster
from framepred.models.pretrained import RANGE, Network, describe, load_weights
from framepred.restorer import Restorer
from framepred.training.callbacks import RunConfig
from framepred.training.checkpointing import AtomicCheckpointIO
from framepred.training.failures import one_sentence_errors
from framepred.training.forecast_task import ForecastTask
from framepred.training.path_task import PathNoise, PathTask
from framepred.training.restore_task import Gaps, RestoreTask
from framepred.training.run import TrainingResult, default_logger, fit, standard_callbacks
from framepred.training.schedules import Curriculum, LRSchedulerFactory, TeacherForcing, WarmupCosine
from framepred.training.task import OptimizerFactory, Task

DEFAULTS = {
    "use_distributed_sampler": False,
    "check_val_every_n_epoch": None,
    "default_root_dir": "runs/unnamed",
    "enable_model_summary": False,
}
BUILDABLE = (
    nn.Module, Optimizer, LRScheduler, LightningDataModule, Callback, Logger, Profiler, Strategy, Accelerator,
    Precision, ClusterEnvironment, CheckpointIO, Gaps, TeacherForcing, Curriculum,
)  # fmt: skip
"""Classes whose subclasses a config may name. Everything else that it names is refused before it is called."""
CONFIG_OPTIONS = ("--config", "-c")
"""Options of the command line that name a config file."""
OWN_CHECKPOINTS = ("fsdp", "deepspeed", "model_parallel")
"""Strategies that write their checkpoints themselves, in pieces."""


def make_task(
    net: Network,
    budget: int,
    loss: nn.Module,
    optimizer: OptimizerFactory = AdamW,
    lr_scheduler: LRSchedulerFactory = WarmupCosine,
    curriculum: Curriculum = Curriculum(),  # noqa: B008 (frozen)
    seed: int = 0,
    teacher_forcing: TeacherForcing | None = None,
    tbptt_steps: int | None = None,
    auxiliary_weight: float | None = None,
    shortest_context: int | None = None,
    burn_in: int | None = None,
    compiled: bool | None = None,
    gaps: Gaps | None = None,
    paths: PathNoise | None = None,
    protocol: str = "openstl",
) -> Task:
    """Return the task that trains a network: RestoreTask, ForecastTask, or PathTask for the path network alone.

    Args:
        net: the network to train.
        budget: optimizer steps of the whole training.
        loss: takes raw predictions and targets, both ``(b, t, c, h, w)``, and returns a scalar.
        optimizer: makes the optimizer from the parameters.
        lr_scheduler: makes the learning-rate scheduler from the optimizer.
        curriculum: schedule of the clip length.
        seed: seed of the random numbers of training.
        teacher_forcing: forecasters only: schedule of the share of true input frames beyond the context.
        tbptt_steps: forecasters only: frames after which backpropagation through time is cut.
        auxiliary_weight: forecasters only: weight of the network's auxiliary loss.
        shortest_context: forecasters only: observed frames of a training step at least; each step draws their number.
        burn_in: forecasters only: longest stream that the network observes before a clip, in frames. It plays the
            first half of the context forward and backward again and again, so it may be longer than the clips.
        compiled: forecasters with recurrent cells only: whether the cells run compiled in training.
        gaps: restorers only: distribution of the frames that a step removes.
        paths: tracking forecasters only: errors of the simulated tracker; trains the path network alone.
        protocol: protocol of validation: openstl, predrnn or wang2004.

    Raises:
        ConfigError: if an argument is outside its domain or does not fit the network.
    """
    common = {
        "budget": budget, "loss": loss, "optimizer": optimizer, "lr_scheduler": lr_scheduler, "curriculum": curriculum,
        "seed": seed, "protocol": protocol,
    }  # fmt: skip
    of_forecaster = {
        "teacher_forcing": teacher_forcing, "tbptt_steps": tbptt_steps, "auxiliary_weight": auxiliary_weight,
        "shortest_context": shortest_context, "burn_in": burn_in, "compiled": compiled,
        "paths": paths,
    }  # fmt: skip
    given = {name: value for name, value in {**of_forecaster, "gaps": gaps}.items() if value is not None}
    allowed = set(of_forecaster) if isinstance(net, Forecaster) else {"gaps"}
    if unfit := sorted(given.keys() - allowed):
        does = "forecasts" if isinstance(net, Forecaster) else "restores missing frames"
        raise ConfigError(f"{type(net).__name__} {does}, so model.{unfit[0]} has no meaning; leave it out.")
    if isinstance(net, Restorer):
        return RestoreTask(net, **common, **given)  # type: ignore[arg-type]
    return (PathTask if paths else ForecastTask)(net, **common, **given)  # type: ignore[arg-type]


def open_config(arguments: Sequence[str]) -> "TrainCLI":
    """Build the task, data and trainer that command-line arguments describe, without running them.

    Args:
        arguments: as after ``framepred train``, with paths of config files.

    Raises:
        ConfigError: if an argument or the config cannot be used.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):  # no tips and no list of devices
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with one_sentence_errors():
            return TrainCLI(list(arguments))
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        files = ", ".join(part.removeprefix("--config=") for part in arguments if part.startswith("--config="))
        raise ConfigError(f"The config {files} is not a readable YAML file ({str(error).splitlines()[0]}).") from error


def to_arguments(settings: Mapping[str, Any]) -> list[str]:
    """Return nested or dotted settings as command-line arguments.

    Example:
        >>> to_arguments({"trainer": {"max_steps": 5}, "model.net.init_args.channels": 1, "trainer.logger": False})
        ['--trainer.max_steps=5', '--model.net.init_args.channels=1', '--trainer.logger=false']
    """
    return [f"--{name}={_to_text(value)}" for name, value in _flat(settings)]


class TrainCLI(LightningCLI):
    """``LightningCLI`` for :func:`make_task`: ``model`` is the task, ``data`` any LightningDataModule."""

    _shared_parser: ClassVar[LightningArgumentParser | None] = None

    def __init__(self, arguments: list[str]) -> None:
        self.pretrained: Network | None = None
        super().__init__(
            make_task,
            LightningDataModule,
            subclass_mode_data=True,
            save_config_callback=None,
            trainer_defaults=DEFAULTS,
            seed_everything_default=0,
            parser_kwargs={"exit_on_error": False, "prog": "framepred train"},
            args=arguments,
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def setup_parser(self, *arguments: Any) -> None:
        """Use one parser for all runs of a process: reading the signatures takes a tenth of a second."""
        if TrainCLI._shared_parser is None:
            super().setup_parser(*arguments)
            TrainCLI._shared_parser = self.parser
        self.parser = TrainCLI._shared_parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the options that resume a run or start from weights; link numbers that must be equal."""
        parser.add_argument("--ckpt_path", type=str | None, help="'last' resumes the run in its folder; or a .ckpt.")
        parser.add_argument(
            "--weights", type=str | None, help="Network and weights to start from: bundled name, folder or .ckpt."
        )
        parser.link_arguments("trainer.max_steps", "model.budget")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)  # true and false are refused afterwards

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse, take the network from the weights where some are given, and check what the config names."""
        assert isinstance(args, list)
        self.config = parser.parse_args(args)
        if self.config.weights is not None:
            self.pretrained = load_weights(self.config.weights).net
            if isinstance(self.pretrained, ExportedForecaster):
                raise ConfigError(f"The export {self.config.weights} cannot be trained; start from its weights.")
            first = _end_of_configs(args)  # what follows the config replaces settings of the weights, too
            spec = f"--model.net={_network_spec(self.pretrained)}"
            self.config = parser.parse_args([*args[:first], spec, *args[first:]])
        if self.config.trainer.default_root_dir is None:
            self.config.trainer.default_root_dir = DEFAULTS["default_root_dir"]
        check_classes(self.config)
        seed = self.config.seed_everything
        if isinstance(seed, bool) or seed < 0:
            raise ConfigError(f"The seed must be 0 or more, not {seed}; give seed_everything a whole number.")

    def instantiate_trainer(self, **arguments: Any) -> Trainer:
        """Build the trainer of the config with the standard callbacks."""
        config = self.config_init.trainer
        folder = check_results_folder(config.default_root_dir)
        arguments["callbacks"] = [
            *(config.callbacks or []),
            RunConfig(folder, self.parser.dump(self.config, skip_unset=False)),
            *standard_callbacks(
                folder,
                progress=config.enable_progress_bar is not False,
                checkpoints=config.enable_checkpointing is not False,
                logs=config.logger is not False,
            ),
        ]
        if config.logger in (None, True):
            arguments["logger"] = default_logger(folder)
        if not str(config.strategy).startswith(OWN_CHECKPOINTS):
            given = config.plugins or []
            arguments["plugins"] = [*(given if isinstance(given, list) else [given]), AtomicCheckpointIO()]
        return super().instantiate_trainer(**arguments)

    def begin(self) -> None:
        """Copy the weights to start from, where some are given.

        Raises:
            ConfigError: if settings of the network were given that its weights do not fit.
        """
        if self.pretrained is None:
            return
        try:
            self.model.net.load_state_dict(self.pretrained.state_dict())
        except RuntimeError as error:
            raise ConfigError(
                f"The weights {self.config.weights} do not fit the settings of model.net that were given; leave "
                "out those that change its layers or channels."
            ) from error

    def start(self) -> TrainingResult:
        """Train."""
        self.begin()
        return fit(self.trainer, self.model, self.datamodule, self.config.ckpt_path)


def check_classes(config: object) -> None:
    """Check that a parsed config names no function, and only classes that training builds.

    Raises:
        ConfigError: if it names anything else.
    """
    for path, named in _named_objects(config):
        if not (inspect.isclass(named) and issubclass(named, BUILDABLE)):
            raise ConfigError(
                f"The config names {path}, which is no network, cell, loss, optimizer, scheduler, data module,"
                " callback or part of the trainer; nothing of it was run."
            )


def _named_objects(value: object) -> Iterator[tuple[str, object]]:
    """Yield the import path and the object of everything that a parsed config names."""
    if isinstance(value, Namespace):
        value = vars(value)
    if isinstance(value, Mapping):
        if isinstance(value.get("class_path"), str):
            yield value["class_path"], _imported(value["class_path"])
        for part in value.values():
            yield from _named_objects(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _named_objects(part)
    elif inspect.isroutine(value) or inspect.isclass(value):
        yield f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value)}", value


def _imported(path: str) -> object:
    try:
        return pkgutil.resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"The config names {path}, which cannot be imported ({error}).") from error


def _end_of_configs(arguments: Sequence[str]) -> int:
    """Index of the first argument after the last config file."""
    ends = [0]
    for index, argument in enumerate(arguments):
        option, sign, _ = argument.partition("=")
        if option in CONFIG_OPTIONS:
            ends.append(index + 1 if sign else index + 2)
    return ends[-1]


def _network_spec(net: Network) -> str:
    """Return the class path and arguments of a network as JSON."""
    arguments = {name: value for name, value in describe(net).items() if name not in ("class", RANGE)}
    kind = type(net)
    module = PACKAGE if exported_class(kind.__name__) is kind else kind.__module__
    return json.dumps({"class_path": f"{module}.{kind.__qualname__}", "init_args": arguments})


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and "class_path" not in value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _to_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

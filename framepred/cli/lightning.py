"""Lightning's command line, fitted to framepred: one parser, one run folder, errors in one sentence."""

import logging
from typing import Any

from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from framepred.errors import ConfigError, FramepredError
from framepred.media.outputs import check_results_folder
from framepred.models.pretrained import load_weights
from framepred.training.restore_task import make_task
from framepred.training.run import callbacks, fit, logger
from framepred.training.task import ForecastTask

DEFAULTS = {
    "use_distributed_sampler": False,
    "check_val_every_n_epoch": None,
    "default_root_dir": "runs/unnamed",
    "enable_model_summary": False,
}
# How lines of the parser begin that repeat what was given, or say that an optional thing might also be left out.
ABOUT_TYPES = ("Does not validate against", "Subtypes", "Errors", "Expected a <class 'NoneType'>", "Given value")


def run_training(arguments: list[str]) -> None:
    """Parse the arguments of ``framepred train`` and train.

    Raises:
        ConfigError: if an argument or the config cannot be used.
    """
    open_config(arguments).start()


def open_config(arguments: list[str]) -> "TrainCLI":
    """What the arguments of ``framepred train`` describe: task, data and trainer, made and not yet run.

    Raises:
        ConfigError: if an argument or the config cannot be used.
    """
    _quieten_lightning()
    try:
        return TrainCLI(arguments)
    except (ArgumentError, MisconfigurationException) as error:
        raise ConfigError(_in_one_sentence(str(error))) from error
    except ValueError as error:  # what a class of ours says of its arguments comes wrapped
        if not isinstance(error.__cause__, FramepredError):
            raise
        raise error.__cause__ from None


class TrainCLI(LightningCLI):
    """``LightningCLI`` for :func:`make_task`: ``model`` is the task, ``data`` any LightningDataModule."""

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(
            make_task,
            LightningDataModule,
            subclass_mode_data=True,
            save_config_kwargs={"overwrite": True},
            trainer_defaults=DEFAULTS,
            seed_everything_default=0,
            parser_kwargs={"exit_on_error": False, "prog": "framepred train"},
            args=arguments,
            run=False,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what resumes or seeds a run, and say each number once."""
        parser.add_argument("--ckpt_path", type=str | None, help="'last' resumes the run in its folder; or a .ckpt.")
        parser.add_argument("--weights", type=str | None, help="Weights to start from: bundled name, folder or .ckpt.")
        parser.link_arguments("trainer.max_steps", "model.budget")
        parser.link_arguments("seed_everything", "model.seed")

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        """Parse without Lightning's warning about ``sys.argv``."""
        assert isinstance(args, list)
        self.config = parser.parse_args(args)

    def instantiate_trainer(self, **arguments: Any) -> Trainer:
        """The trainer of the config, with what every run carries."""
        config = self.config_init.trainer
        folder = check_results_folder(config.default_root_dir)
        arguments["callbacks"] = [
            *(config.callbacks or []),
            *callbacks(folder, config.enable_progress_bar is not False),
        ]
        if config.logger is None:
            arguments["logger"] = logger(folder)
        return super().instantiate_trainer(**arguments)

    def start(self) -> None:
        """Train."""
        self.begin()
        fit(self.trainer, self.model, self.datamodule, self.config.ckpt_path)

    def begin(self) -> None:
        """Take over the weights to start from, where some are given."""
        if self.config.weights:
            _copy_weights(self.config.weights, self.model)


def _quieten_lightning() -> None:
    """Leave Lightning's warnings, and drop its tips and its list of devices: the run's first lines say what counts."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _copy_weights(name: str, task: ForecastTask) -> None:
    try:
        task.net.load_state_dict(load_weights(name).net.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            f"The weights {name} do not fit the network of this config; give the config the arguments that are in "
            "the weights' config.json."
        ) from error


def _in_one_sentence(message: str) -> str:
    """The lines of a parser's message that say what was parsed and what is wrong with it."""
    lines = [line.strip(" -").rstrip(".:") for line in message.splitlines()]
    telling = [line for line in lines if line and not line.startswith(ABOUT_TYPES)]
    return f"{': '.join(telling)}; see framepred train --help."

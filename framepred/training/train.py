"""Training and diagnosis as Python calls; the commands ``train`` and ``diagnose`` use them."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from framepred.errors import ConfigError
from framepred.forecaster import Forecaster
from framepred.media.atomic import atomic_write
from framepred.training.config_files import find_config
from framepred.training.configuration import open_config, to_arguments
from framepred.training.diagnosis import gradient_flow
from framepred.training.path_task import PathTask
from framepred.training.run import RESUME_LAST, TrainingResult
from framepred.visualization.gradient_flow import EXPLODED, UNDERFLOW, VANISHED, Flow, flow_figure

CHECKPOINT_OPTION = "--ckpt_path"
PLOT, NUMBERS = "gradient-flow.png", "gradient-flow.json"


def train(
    config: str | Path, *, weights: str | Path | None = None, resume: bool = False, **overrides: Any
) -> TrainingResult:
    """Train as a config describes.

    Args:
        config: YAML file or shipped name, such as ``smoke``.
        weights: weights to start from: bundled name, folder or checkpoint. The network is theirs.
        resume: whether to continue the run in the config's folder; a finished run is returned as it is.
        overrides: settings that replace those of the config, nested or with dots, such as
            ``trainer={"max_steps": 100}`` or ``**{"trainer.max_steps": 100}``.

    Returns:
        The run's folder, its checkpoints and its best score.

    Raises:
        ConfigError: if the config or an override cannot be used, there is nothing to resume, or an override changes
            what decides the course of the run to resume, such as its loss or its clips.
        WeightsError: if the weights or the checkpoint cannot be used.

    Example:
        >>> framepred.train("smoke", trainer={"max_steps": 30})  # doctest: +SKIP
    """
    return open_config(_arguments(config, weights, overrides | ({"ckpt_path": RESUME_LAST} if resume else {}))).start()


@dataclass(frozen=True)
class Diagnosis:
    """Measured gradient flow of a network.

    Attributes:
        flows: gradient norms of each recurrent memory through time.
    """

    flows: list[Flow]

    def figure(self) -> Figure:
        """Return the plot."""
        return flow_figure(self.flows)

    def save(self, folder: str | Path) -> list[Path]:
        """Write the plot and the numbers into a folder; return their paths."""
        plot, numbers = Path(folder) / PLOT, Path(folder) / NUMBERS
        with atomic_write(plot) as draft:
            self.figure().savefig(draft)
        with atomic_write(numbers) as draft:
            draft.write_text(self.to_json() + "\n")
        return [plot, numbers]

    def to_json(self) -> str:
        """Return norms and thresholds as JSON; norms begin at the earliest step and are null where not finite."""
        memories = [
            {
                "name": flow.name,
                "norms": [norm if math.isfinite(norm) else None for norm in flow.norms],
                "rate": flow.rate if math.isfinite(flow.rate) else None,
                "marks": flow.marks,
            }
            for flow in self.flows
        ]
        thresholds = {"vanishing": VANISHED, "explosion": EXPLODED, "underflow": UNDERFLOW}
        return json.dumps({"thresholds": thresholds, "memories": memories}, indent=2)


def diagnose(config: str | Path, *, weights: str | Path | None = None, **overrides: Any) -> Diagnosis:
    """Measure how the gradient of the last frame's loss flows back through time, on the first validation clips.

    Args:
        config: YAML file or shipped name, for network, loss and data.
        weights: trained weights; None measures the untrained network.
        overrides: as :func:`train`.

    Raises:
        ConfigError: if the config cannot be used, the network is no recurrent forecaster, or no gradient reaches its
            memory.
        WeightsError: if the weights cannot be used.
    """
    return diagnose_arguments(_arguments(config, weights, overrides))


def diagnose_arguments(arguments: list[str]) -> Diagnosis:
    """Do as :func:`diagnose`, with command-line arguments."""
    if any(argument.partition("=")[0] == CHECKPOINT_OPTION for argument in arguments):
        raise ConfigError(f"{CHECKPOINT_OPTION} resumes a training; to diagnose a checkpoint, give it with --weights.")
    run = open_config(arguments)
    run.begin()
    task, data = run.model, run.datamodule
    if not isinstance(task.net, Forecaster):
        raise ConfigError(f"{type(task.net).__name__} is no forecaster; diagnose a forecaster.")
    if isinstance(task, PathTask):
        raise ConfigError("This config trains a path network on simulated paths; diagnose one that trains on clips.")
    data.prepare_data()
    data.setup("fit")
    flows = gradient_flow(task.net, task.loss, next(iter(data.val_dataloader() or data.train_dataloader())))
    if not any(norm for flow in flows for norm in flow.norms):
        raise ConfigError(
            f"No gradient of the last prediction reaches the memory of {type(task.net).__name__} with these weights, "
            "because it predicts from its memory without derivatives; diagnose other weights."
        )
    return Diagnosis(flows)


def _arguments(config: str | Path, weights: str | Path | None, overrides: dict[str, Any]) -> list[str]:
    chosen = [] if weights is None else [f"--weights={weights}"]
    return [f"--config={find_config(config)}", *to_arguments(overrides), *chosen]

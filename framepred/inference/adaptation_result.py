"""The result of adapting a forecaster to a clip."""

from dataclasses import dataclass

from framepred.forecaster import Forecaster
from framepred.inference.blend import Blend


@dataclass(frozen=True)
class AdaptationResult:
    """The result of adapting a forecaster to a clip.

    All errors are mean squared errors per pixel, pixels in [0, 1], on the same validation windows, of the mean of the
    colour channels where the network takes frames of any number of channels. The network is not trained on the target
    frames of these windows.

    Attributes:
        blend: the network, its mean over mirror images with a share of the trained network, and the baselines, with
            the weights that they have on the past before training; if ``refitted``, the trained network and the
            baselines, with weights of the validation windows. In eval mode.
        network: the better of the network before and after training.
        share: weight of the trained network in the mean with the network before training, in [0, 1].
        refitted: whether the weights of the blend are fitted on the validation windows.
        blend_error: error of the blend; if ``refitted``, that of each window with weights fitted on the windows that
            share no target frame with it.
        error_before: error of the forecaster before training.
        error_after: lowest error during training; infinite if training diverged or there was no time for a step.
        baseline_errors: errors of the baselines by name.
        windows: number of validation windows.
        steps: number of training steps.
    """

    blend: Blend
    network: Forecaster
    share: float
    refitted: bool
    blend_error: float
    error_before: float
    error_after: float
    baseline_errors: dict[str, float]
    windows: int
    steps: int

    @property
    def improved(self) -> bool:
        """Whether the trained network is kept."""
        return self.error_after < self.error_before

    @property
    def summary(self) -> str:
        """One-sentence summary of the adaptation."""
        where = f"on the last {self.windows} window{'s' * (self.windows != 1)} of the past"
        baselines = ", ".join(f"{name.replace('-', ' ')} {error:.3g}" for name, error in self.baseline_errors.items())
        if not self.improved:
            return (
                f"Adapting gained nothing in {self.steps} steps, so the weights stay as they were: "
                f"mse {self.error_before:.3g} per pixel {where}, the blend has {self.blend_error:.3g} "
                f"({baselines})."
            )
        best = min(self.baseline_errors.values())
        gain = f", {100 * (1 - self.blend_error / best):.0f} % less than the better baseline" if best else ""
        role = "it takes the place of the network" if self.refitted else f"its share in the blend is {self.share:g}"
        return (
            f"Adapted in {self.steps} steps: mse {self.error_after:.3g} per pixel {where}, {self.error_before:.3g} "
            f"before; {role}, and the blend has {self.blend_error:.3g}{gain} ({baselines})."
        )

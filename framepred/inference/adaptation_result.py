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
        blend: the mean of the networks before and after training, and the baselines, in eval mode.
        network: the better of the network before and after training.
        share: weight of the trained network in that mean, in [0, 1].
        blend_error: error of the blend.
        error_before: error of the forecaster before training.
        error_after: lowest error during training; infinite if training diverged or there was no time for a step.
        baseline_errors: errors of the baselines by name.
        windows: number of validation windows.
        steps: number of training steps.
    """

    blend: Blend
    network: Forecaster
    share: float
    blend_error: float
    error_before: float
    error_after: float
    baseline_errors: dict[str, float]
    windows: int
    steps: int

    @property
    def improved(self) -> bool:
        """Whether training lowered the error of the network."""
        return self.error_after < self.error_before

    @property
    def summary(self) -> str:
        """One-sentence summary of the adaptation."""
        where = f"on the last {self.windows} window{'s' * (self.windows != 1)} of the past"
        baselines = ", ".join(f"{name.replace('-', ' ')} {error:.3g}" for name, error in self.baseline_errors.items())
        if not self.share:
            return (
                f"Adapting gained nothing in {self.steps} steps, so the weights stay as they were: "
                f"mse {self.error_before:.3g} per pixel {where}, the blend has {self.blend_error:.3g} "
                f"({baselines})."
            )
        best = min(self.baseline_errors.values())
        gain = f", {100 * (1 - self.blend_error / best):.0f} % less than the better baseline" if best else ""
        return (
            f"Adapted in {self.steps} steps: mse {self.error_after:.3g} per pixel {where}, {self.error_before:.3g} "
            f"before; the share of the trained network is {self.share:g}, and the blend has {self.blend_error:.3g}"
            f"{gain} ({baselines})."
        )

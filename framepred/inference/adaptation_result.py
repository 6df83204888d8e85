"""The result of adapting a forecaster to a clip."""

from dataclasses import dataclass

from framepred.forecaster import Forecaster
from framepred.inference.blend import Blend
from framepred.inference.mirrored import MirrorMean


@dataclass(frozen=True)
class AdaptationResult:
    """The result of adapting a forecaster to a clip.

    All errors are mean squared errors per pixel, pixels in [0, 1], on the same validation windows, of the mean of the
    colour channels where the network takes frames of any number of channels. The network is not trained on the target
    frames of these windows.

    Attributes:
        mean: the mean of what the networks before and after training predict of the clip and its mirror images, in eval
            mode.
        blend: the blend of this mean and the baselines, in eval mode.
        network: the better of the network before and after training.
        share: weight of the trained network in the mean, in [0, 1].
        blend_error: error of the blend.
        error_before: error of the forecaster before training.
        error_after: lowest error during training; infinite if training diverged or there was no time for a step.
        baseline_errors: errors of the baselines by name.
        windows: number of validation windows.
        steps: number of training steps.
    """

    mean: MirrorMean
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

    def describe(self, blended: bool = True) -> str:
        """The adaptation in one sentence.

        Args:
            blended: whether to name the error of the blend.
        """
        where = f"on the last {self.windows} window{'s' * (self.windows != 1)} of the past"
        baselines = ", ".join(f"{name.replace('-', ' ')} {error:.3g}" for name, error in self.baseline_errors.items())
        blend = f", the blend has {self.blend_error:.3g}" * blended
        if not self.share:
            return (
                f"Training gained nothing in {self.steps} steps, so the network stays as it was, averaged over mirror "
                f"images of the clip: mse {self.error_before:.3g} per pixel {where} without them{blend} ({baselines})."
            )
        best = min(self.baseline_errors.values())
        if blended and best:
            blend += f", {100 * (1 - self.blend_error / best):.0f} % less than the better baseline"
        return (
            f"Adapted in {self.steps} steps: mse {self.error_after:.3g} per pixel {where}, {self.error_before:.3g} "
            f"before; the share of the trained network is {self.share:g}{blend} ({baselines})."
        )

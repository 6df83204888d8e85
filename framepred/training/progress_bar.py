"""Progress bar of training."""

from lightning.pytorch.callbacks import RichProgressBar

from framepred.data.datamodules.base import batches_trained


class EpochBar(RichProgressBar):
    """Progress bar on standard error that counts epochs from 1, up to the last one of the budget.

    Epochs are counted by the batches trained since the first start, because Lightning starts another epoch wherever a
    run is continued.
    """

    def __init__(self) -> None:
        super().__init__(console_kwargs={"stderr": True})

    @property
    def total_train_batches(self) -> int | float:
        """Batches of this epoch, up to the end of the budget, with those before the run was continued."""
        batches, left = self.trainer.num_training_batches, self.trainer.max_steps - self.trainer.global_step
        if self.trainer.max_steps < 0 or not isinstance(batches, int) or not batches:
            return batches
        return min(batches, batches_trained(self.trainer) % batches + left * self.trainer.accumulate_grad_batches)

    def _get_train_description(self, current_epoch: int) -> str:
        batches, accumulated = self.trainer.num_training_batches, self.trainer.accumulate_grad_batches
        steps = -(-batches // accumulated) if isinstance(batches, int) and batches else 0
        if steps:
            current_epoch = batches_trained(self.trainer) // int(batches)
        limits = [self.trainer.max_epochs] if (self.trainer.max_epochs or -1) > 0 else []
        if steps and self.trainer.max_steps > 0:
            limits.append(-(-self.trainer.max_steps // steps))
        total = f"/{min(epochs for epochs in limits if epochs)}" if limits else ""
        return f"Epoch {current_epoch + 1}{total}".ljust(len(self.validation_description))

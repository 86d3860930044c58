"""The figures of a training, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class History:
    """Figures of each epoch that was run, in order.

    Attributes:
        loss: mean training loss of the epoch, as seen while the weights moved.
        accuracy: the same for the accuracy, a fraction of 1.
        val_loss: on the validation part after the epoch.
        val_accuracy: the same, a fraction of 1.
        learning_rate: that the epoch was run with.
        seconds: wall time of the epoch with its validation.
    """

    loss: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()
    val_loss: tuple[float, ...] = ()
    val_accuracy: tuple[float, ...] = ()
    learning_rate: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()

    @property
    def epochs(self) -> int:
        """How many epochs were run."""
        return len(self.val_accuracy)

    def curves(self) -> dict[str, tuple[float, ...]]:
        """The curves that a report shows: name to one number an epoch."""
        names = ("loss", "val_loss", "accuracy", "val_accuracy", "learning_rate")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @property
    def best_epoch(self) -> int:
        """The epoch of the highest validation accuracy, among equals of the lowest loss; from 0."""
        return max(range(self.epochs), key=lambda e: (self.val_accuracy[e], -self.val_loss[e], -e))

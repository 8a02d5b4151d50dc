"""Steps whose loss or gradient jumps are skipped, without asking the device."""

import torch
from torch import Tensor

WINDOW = 128  # values; OLMo-core, optim/skip_step_optimizer.py
MAX_IN_A_ROW = 10


class SpikeGuard:
    """Says whether a step is a spike: loss or gradient norm sigma deviations above a window's mean.

    Off until the window is full, but a value that is not finite always counts. Emptied at a stage's
    start: a new stream lifts the loss far beyond six deviations.
    """

    def __init__(self, sigma: float, device: torch.device) -> None:
        self._sigma = sigma
        self.values = torch.zeros(2, WINDOW, device=device)
        self.count = torch.zeros((), dtype=torch.int64, device=device)
        self.in_a_row = torch.zeros((), dtype=torch.int64, device=device)

    def check(self, loss: Tensor, norm: Tensor) -> Tensor:
        """1.0 when the step must be skipped, else 0.0; remembers finite values."""
        latest = torch.stack((loss.detach(), norm)).float()
        deviation, mean = torch.std_mean(self.values, dim=1)
        spike = (latest > mean + self._sigma * deviation).any() & (self.count >= WINDOW)
        finite = latest.isfinite().all()
        place = torch.arange(WINDOW, device=self.values.device) == self.count % WINDOW
        self.values = torch.where(place & finite, latest[:, None], self.values)
        self.count = self.count + finite
        skip = spike | ~finite
        self.in_a_row = torch.where(skip, self.in_a_row + 1, 0)
        return skip.float()

    def empty(self) -> None:
        """Forget the window: a new stage or a re-warm begins."""
        self.count = torch.zeros_like(self.count)
        self.in_a_row = torch.zeros_like(self.in_a_row)

    def tensors(self) -> dict[str, Tensor]:
        """The window's state for a checkpoint."""
        return {"values": self.values, "count": self.count, "in_a_row": self.in_a_row}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what ``tensors`` returned."""
        device = self.values.device
        self.values = tensors["values"].to(device)
        self.count = tensors["count"].to(device)
        self.in_a_row = tensors["in_a_row"].to(device)

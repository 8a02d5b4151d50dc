"""The yardstick: a plain PyTorch loop with nothing but the mathematics."""

from itertools import count

import torch
from torch import Tensor

from contestants.gate import Gate
from contestants.model import build_model, build_optimizer, losses
from contestants.shapes import CLIP_NORM


def main() -> None:
    gate = Gate()
    on_gpu = gate.device.type == "cuda"
    model = build_model(gate.shape).to(gate.device)
    optimizer = build_optimizer(model)
    parameters = list(model.parameters())
    model.train()

    def forward(windows: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(gate.device.type, torch.bfloat16, enabled=on_gpu):
            logits = model(input_ids=windows[:, :-1]).logits
        return losses(logits, windows[:, 1:])

    if on_gpu:
        forward = torch.compile(forward)
    for step in count():
        gate.before_step()
        windows = torch.from_numpy(gate.tokens.batch(step)).to(gate.device, non_blocking=True)
        loss, cross_entropy = forward(windows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM, foreach=True)
        optimizer.step()
        optimizer.zero_grad()
        gate.loss = cross_entropy.detach()


if __name__ == "__main__":
    main()

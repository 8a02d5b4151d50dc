"""What Hugging Face's Trainer writes beside a model, written as it does."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers.trainer_pt_utils import get_parameter_names

# As Trainer.get_decay_parameter_names of transformers 5 has them.
PATTERNS = ["bias", "layernorm", "rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]


def trained_by_trainer(
    folder: Path, model: nn.Module, undecayed: Collection[str] | None = None, trains: bool = True
) -> torch.optim.AdamW:
    """Train three steps in the two groups of Trainer, and write its three files to ``folder``."""
    names = [name for name, _ in model.named_parameters()]
    decayed = get_parameter_names(model, [nn.LayerNorm], PATTERNS)
    if undecayed is not None:
        decayed = [name for name in names if name not in undecayed]
    parameters = dict(model.named_parameters())
    groups = [
        {"params": [parameters[n] for n in names if n in decayed], "weight_decay": 0.05},
        {"params": [parameters[n] for n in names if n not in decayed], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 6)
    torch.manual_seed(0)
    for _ in range(3):
        if trains:
            ids = torch.randint(0, 40, (2, 9))
            out: Any = model(input_ids=ids, labels=ids)
            out.loss.backward()
        else:
            for parameter in parameters.values():
                parameter.grad = torch.randn_like(parameter)
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
    torch.save(optimizer.state_dict(), folder / "optimizer.pt")
    torch.save(scheduler.state_dict(), folder / "scheduler.pt")
    logged = [{"learning_rate": 1e-3, "loss": 4.0, "step": 1}, {"learning_rate": 6e-4, "step": 3}]
    state = {"global_step": 3, "max_steps": 6, "log_history": [*logged, {"eval_loss": 1.0}]}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    return optimizer


def save_weights(model: nn.Module, folder: Path) -> None:
    """The weights as they are now, beside what ``trained_by_trainer`` wrote."""
    names = {name for name, _ in model.named_parameters()}
    kept = {n: t.contiguous() for n, t in model.state_dict().items() if n in names}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})

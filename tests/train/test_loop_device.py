"""On what a step is computed, and in which precision."""

from typing import Any

import pytest
import torch
from train.loops import BATCH, CONFIG, CPU

from evergrow.errors import EvergrowError
from evergrow.train.config import LoopConfig
from evergrow.train.loop import (
    autocast,
    choose_device,
    wants_compile,
)


def test_bf16_is_refused_where_the_processor_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    config = LoopConfig(batch_size=BATCH, precision="bf16")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    with pytest.raises(EvergrowError) as error:
        autocast(config, CPU)
    assert str(error.value) == (
        "train.precision: bf16 needs a processor with bf16 instructions, this one has none and "
        "would run about 13 times slower; use fp32"
    )
    square = torch.ones(2, 2)
    with autocast(CONFIG, CPU):
        assert (square @ square).dtype == torch.float32
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    with autocast(config, CPU):
        assert (square @ square).dtype == torch.bfloat16


def test_the_device_is_the_one_asked_for_or_the_best_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def config(device: Any) -> LoopConfig:
        return LoopConfig(batch_size=BATCH, device=device)

    found = {"cuda": False, "mps": False}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found["cuda"])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: found["mps"])
    assert choose_device(config("auto")) == CPU
    assert not wants_compile(config("auto"), CPU)
    with pytest.raises(EvergrowError, match=r"finds no cuda device here; use auto or cpu"):
        choose_device(config("cuda"))
    found["mps"] = True
    assert choose_device(config("auto")) == torch.device("mps")
    found["cuda"] = True
    assert choose_device(config("auto")) == torch.device("cuda")
    assert choose_device(config("mps")) == torch.device("mps")
    assert choose_device(config("cpu")) == CPU
    assert wants_compile(config("auto"), torch.device("cuda"))

"""Low-rank adapters (LoRA, arXiv 2106.09685) on a model whose own weights stay as they are.

A linear layer W x becomes W x + alpha / r * B A x, with A [r, in] and B [out, r] trained and B from
0 on, so that training starts at the model's own function. The layers are peft's, put into the model
in place: it stays of its class, and all that reads it reads it as before.
"""

import json
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from evergrow.disk import new_folder
from evergrow.errors import EvergrowError, InputError
from evergrow.models.config import LoraConfig
from evergrow.models.describe import embedding_parameter_names
from evergrow.models.families import FAMILIES
from evergrow.models.family import Family
from evergrow.models.folder import ADAPTER
from evergrow.models.kind import kind_of
from evergrow.models.quiet import undisturbed

CONFIG, WEIGHTS = ADAPTER, "adapter_model.safetensors"  # of a folder of peft
NAMED_AT_MOST = 12  # names of layers in a refusal
_NAME = "default"  # of the one adapter, as peft calls it


def refuse_without_peft(where: str) -> None:
    """Raise InputError when adapters cannot be made or read here."""
    if find_spec("peft") is None:
        raise InputError(f"{where}: adapters need the package peft; install evergrow[peft]")


def adapted_layers(model: PreTrainedModel, config: LoraConfig) -> list[str]:
    """The whole names of the linear layers that get an adapter, in the model's order.

    Raises InputError for targets that the model has not or that cannot be merged, for a family
    that neither evergrow nor peft describes, and for a model with batch norms.
    """
    name = type(model).__name__
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        raise InputError(
            f"train.lora: a {name} has batch norms, whose statistics move with every batch while "
            "its weights stay; remove lora, or train its layers by depth"
        )
    linear = _linear_layers(model)
    found = _usual(model, linear) if config.targets is None else _asked(model, linear, config)
    tables = embedding_parameter_names(model)
    if tied := [layer for layer in found if f"{layer}.weight" in tables]:
        raise InputError(
            f"train.lora.targets: {tied[0]} shares its weight with the table of embeddings, which "
            "an adapter would change too once it is merged; leave it out"
        )
    return found


def _linear_layers(model: nn.Module) -> list[str]:
    return [n for n, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]


def _asked(model: PreTrainedModel, linear: Sequence[str], config: LoraConfig) -> list[str]:
    """The linear layers whose names end as the targets say."""
    for target in config.targets or []:
        if any(_ends(layer, target) for layer in linear):
            continue
        others = [type(m).__name__ for n, m in model.named_modules() if _ends(n, target)]
        what = f"is a {others[0]} and no linear layer" if others else "is no layer"
        raise InputError(
            f"train.lora.targets: {target!r} {what} of this {type(model).__name__}; "
            f"its linear layers are {_named(linear)}"
        )
    return [layer for layer in linear if any(_ends(layer, t) for t in config.targets or [])]


def _ends(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _named(linear: Sequence[str]) -> str:
    names = list(dict.fromkeys(layer.rpartition(".")[2] for layer in linear))
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return ", ".join(names[:NAMED_AT_MOST]) + more if names else "none"


def _usual(model: PreTrainedModel, linear: Sequence[str]) -> list[str]:
    """All linear layers of the blocks; where no family describes them, those that peft names."""
    kind = model.config.model_type
    if kind in FAMILIES:
        return [layer for layer in linear if _is_usual(FAMILIES[kind], layer, model)]
    refuse_without_peft("train.lora")
    from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

    found = [layer for layer in linear if any(_ends(layer, t) for t in KNOWN.get(kind, ()))]
    if not found:
        raise InputError(
            f"train.lora: neither evergrow nor peft names the layers of {kind} that adapters go "
            f"on; give train.lora.targets, of its linear layers {_named(linear)}"
        )
    return found


def _is_usual(family: Family, layer: str, model: PreTrainedModel) -> bool:
    weight = f"{layer}.weight"
    line = family.spec_of(weight)
    if line is None or line.startswith("fixed"):
        return False
    if family.block_of(weight) is not None:
        return True
    return kind_of(model) == "classes" and family.depth_of(weight) == "head"


def short_names(layers: Sequence[str]) -> list[str]:
    """The layers by what stands behind the numbers of their blocks: ``self_attn.q_proj``."""
    return list(dict.fromkeys(re.sub(r"^.*\.\d+\.", "", layer) for layer in layers))


def has_expert_maps(model: Any) -> bool:
    """Whether a parameter holds a linear map for each expert: that is no layer for an adapter."""
    family = FAMILIES.get(model.config.model_type)
    lines = (family.spec_of(name) for name, _ in model.named_parameters()) if family else ()
    return any(line is not None and line.startswith("each") for line in lines)


def adapter_size(model: PreTrainedModel, config: LoraConfig) -> int:
    """The number of parameters that ``Adapter`` would train: r (in + out) a layer."""
    weights = (model.get_parameter(f"{layer}.weight") for layer in adapted_layers(model, config))
    return sum(config.rank * sum(weight.shape) for weight in weights)


@final
class Adapter:
    """The adapters of one model, which it holds from now on; all of its own weights are frozen.

    A is drawn from ``seed`` as a linear layer is, uniform in +-1 / sqrt(in), B is 0; the global
    random state stays as it is. Raises what ``adapted_layers`` does.
    """

    def __init__(self, model: PreTrainedModel, config: LoraConfig, seed: int) -> None:
        refuse_without_peft("train.lora")
        import peft
        from peft.tuners.lora import LoraModel

        self._model, self._rank = model, config.rank
        self.layers = adapted_layers(model, config)
        training = model.training
        transposed = any(isinstance(model.get_submodule(n), Conv1D) for n in self.layers)
        self._config = peft.LoraConfig(
            r=config.rank,
            lora_alpha=_whole(config.scaled_by),
            target_modules=list(self.layers),
            lora_dropout=config.dropout,
            fan_in_fan_out=transposed,
            task_type="CAUSAL_LM" if kind_of(model) == "causal" else None,
        )
        with undisturbed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a model with layers of both kinds
            try:
                self._tuner: Any = LoraModel(model, self._config, _NAME)
            except ValueError as error:
                reason = str(error).split("\n")[0].rstrip(".")
                raise InputError(
                    f"train.lora: peft puts no adapters into this {type(model).__name__} "
                    f"({reason}); give train.lora.targets, of its linear layers "
                    f"{_named(_linear_layers(model))}"
                ) from error
        assert sorted(self._tuner.targeted_module_names) == sorted(self.layers)
        model.train(training)
        self._own = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._draw(seed)

    def _draw(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in self._own.items():
                if ".lora_B." in name:
                    parameter.zero_()
                    continue
                drawn = torch.empty(parameter.shape)
                bound = 1 / math.sqrt(parameter.shape[1])
                parameter.copy_(drawn.uniform_(-bound, bound, generator=generator))

    @property
    def num_parameters(self) -> int:
        """How many are trained."""
        return sum(parameter.numel() for parameter in self._own.values())

    def tensors(self) -> dict[str, Tensor]:
        """What is trained, by its name in the model."""
        return dict(self._own)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what ``tensors`` returned; raises EvergrowError for that of other adapters."""
        shapes = {name: parameter.shape for name, parameter in self._own.items()}
        if shapes != {name: tensor.shape for name, tensor in tensors.items()}:
            raise EvergrowError(
                f"adapters: those of the checkpoint are not of rank {self._rank} on "
                f"{', '.join(short_names(self.layers))}; they belong to another stage"
            )
        with torch.no_grad():
            for name, parameter in self._own.items():
                parameter.copy_(tensors[name])

    def merge(self) -> None:
        """Add the adapters to the model's weights, in fp32; it is a plain model again, all of it
        to be trained."""
        self._tuner.merge_and_unload()
        for parameter in self._model.parameters():
            parameter.requires_grad_(True)

    def save(self, folder: Path, base: str) -> None:
        """Write a folder that peft loads onto ``base``: its name or path, as peft understands it.

        The same bytes every time.
        """
        tensors = {
            f"base_model.model.{name.replace(f'.{_NAME}.', '.')}": parameter.detach().cpu()
            for name, parameter in self._own.items()
        }
        settings = {**self._config.to_dict(), "inference_mode": True}
        settings["base_model_name_or_path"] = base
        settings["target_modules"] = sorted(settings["target_modules"])
        text = json.dumps(settings, indent=2, sort_keys=True, default=sorted) + "\n"
        with new_folder(folder) as unfinished:
            save_file(tensors, unfinished / WEIGHTS, metadata={"format": "pt"})
            (unfinished / CONFIG).write_text(text, encoding="utf-8")


def _whole(alpha: float) -> Any:
    """32 and not 32.0, which peft says in its files."""
    return int(alpha) if alpha == int(alpha) else alpha

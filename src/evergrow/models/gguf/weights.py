"""The weights of a GGUF file as a model: each tensor unpacked once, none lost, none made up."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_gguf_pytorch_utils import (
    TENSOR_PROCESSORS,
    TensorProcessor,
    get_gguf_hf_weights_map,
)

from evergrow.errors import InputError
from evergrow.models.gguf.config import FREQUENCIES
from evergrow.models.gguf.file import GgufFile
from evergrow.models.quiet import undisturbed
from evergrow.models.skeleton import skeleton


def dtype_of(file: GgufFile) -> torch.dtype:
    """What the unpacked weights are stored in: the type of most of them, else bfloat16.

    Blocks of few bits unpack to more digits than bfloat16 has, but it rounds a weight by at most
    1/512 of it, while the coarsest rounding of even 8 bits a weight is 1/254 of a block's largest.
    """
    kinds = {"F32": torch.float32, "F16": torch.float16}
    return kinds.get(file.main_type, torch.bfloat16)


def model_of(file: GgufFile, config: PreTrainedConfig) -> PreTrainedModel:
    """The model in ``file``, in ``dtype_of`` it; one copy of it and a tensor in memory at a time.

    Raises InputError when the file holds other tensors than the architecture has, other shapes, or
    a value that is no number.
    """
    model = skeleton(config.to_dict())
    dtype = dtype_of(file)
    loaded = _unpacked(file, model, dtype)
    _refuse_other(file, model, loaded)
    model.config.dtype = dtype
    with undisturbed():
        model.load_state_dict(loaded, strict=False, assign=True)
        model.tie_weights()
    return model


def _unpacked(file: GgufFile, model: PreTrainedModel, dtype: torch.dtype) -> dict[str, Tensor]:
    """Parameter's name -> its weights; transformers knows each family's names and layouts."""
    from gguf import dequantize

    settings: Any = model.config.to_dict()
    processor = TENSOR_PROCESSORS.get(file.architecture, TensorProcessor)(config=settings)
    names = get_gguf_hf_weights_map(model, processor, file.architecture)
    found: dict[str, Tensor] = {}
    for tensor in file.tensors:
        if tensor.name == FREQUENCIES:
            continue  # config.json says them
        values = dequantize(tensor.data, tensor.tensor_type)
        if not np.isfinite(values).all():
            raise InputError(f"{file.path}: {tensor.name} holds infinity or NaN; copy it again")
        made = processor.process(
            weights=values,
            name=tensor.name,
            tensor_key_mapping=names,
            parsed_parameters={"tensors": found},
        )
        if made.name is None:
            continue  # it went into ``found`` as a part of another
        if made.name not in names:
            raise InputError(
                f"{file.path}: {type(model).__name__} has no place for {tensor.name}, so that the "
                "model would be another; give it as a folder"
            )
        found[names[made.name]] = torch.from_numpy(np.array(made.weights)).to(dtype)
    return {name: value.to(dtype) for name, value in found.items()}


def _refuse_other(file: GgufFile, model: PreTrainedModel, loaded: dict[str, Tensor]) -> None:
    tied = model.all_tied_weights_keys
    expected = dict(model.named_parameters(remove_duplicate=False))
    missing = [n for n in expected if n not in loaded and tied.get(n) not in loaded]
    if missing:
        raise InputError(
            f"{file.path}: weights of {type(model).__name__} are missing ({missing[0]}, "
            f"{len(missing)} of {len(expected)}); give the model as a folder"
        )
    for name, tensor in loaded.items():
        shape = tuple(expected[name].shape) if name in expected else None
        if shape is not None and tuple(tensor.shape) != shape:
            raise InputError(
                f"{file.path}: {name} is {tuple(tensor.shape)} in the file and {shape} by its "
                "head; give the model as a folder"
            )

"""The vision model a recipe starts from: a preset, a folder, or a file of ResNet-50 weights."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    PreTrainedModel,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEForPreTraining,
)

from evergrow.errors import InputError
from evergrow.lineage import refuse_changed
from evergrow.models.config import ModelConfig
from evergrow.models.find import find_model
from evergrow.models.load import check_weights
from evergrow.models.pixels import scale_in, set_scale
from evergrow.models.positions import at_size
from evergrow.models.quiet import undisturbed
from evergrow.models.resnet_keys import from_torchvision
from evergrow.models.vision import (
    TABLES,
    PictureForm,
    TransformerSizes,
    draw_vision_weights,
    fill_table,
    is_masked_autoencoder,
    resnet,
    vit,
    vit_mae,
)


class Labels(NamedTuple):
    """What a classifier tells apart, in the order of its outputs; ``named``: by the recipe."""

    names: Sequence[str]
    named: bool


def vision_from_config(
    config: ModelConfig,
    form: PictureForm,
    told: Labels | None,
    seed: int,
    say: Callable[[str], None],
) -> PreTrainedModel:
    """The model that a recipe on pictures starts from; a classifier of the labels that are told.

    A loaded one keeps its body, and its head when that is for these labels (see ``kept_rows``);
    another head, or a decoder it never had, is drawn from ``seed``, and ``say`` says so. Raises
    InputError for a preset or folder that does not fit the objective or the pictures.
    """
    if config.from_ is not None:
        return load_vision(config, form, told, seed, say)
    labels = None if told is None else told.names
    sizes = config.sizes()
    if (config.preset == "vit_mae") != (labels is None):
        kind = "masked_patches" if labels is None else "classification"
        fits = "vit_mae" if labels is None else "vit or resnet"
        raise InputError(
            f"model.preset: {config.preset} cannot be trained by {kind}; choose {fits}"
        )
    if config.preset == "resnet":
        assert labels is not None
        widths = [sizes.hidden // 2**i for i in reversed(range(sizes.layers))]
        return resnet(form, widths, [1] * sizes.layers, labels, seed)
    shape = TransformerSizes(sizes.hidden, sizes.layers, sizes.heads, config.patch or 1)
    return vit_mae(form, shape, seed) if labels is None else vit(form, shape, labels, seed)


def load_vision(
    recipe: ModelConfig,
    form: PictureForm,
    told: Labels | None,
    seed: int,
    say: Callable[[str], None],
) -> PreTrainedModel:
    """A vision folder of transformers, or a ``.safetensors`` of torchvision's ResNet-50 weights.

    It is fed pixels as it was trained on them: a folder says how in preprocessor_config.json, of a
    file the recipe must. For pictures of another size positions are interpolated, and channels are
    the model's own. Raises InputError for a transformer that was trained without positions.
    """
    source = str(recipe.from_)
    known: list[str] | None = None
    if source.endswith(".safetensors"):
        assert told is not None, "the recipe refuses such a file where patches are drawn"
        weights = _torchvision_weights(Path(source))
        own = PictureForm(form.size, weights[STEM].shape[1] if STEM in weights else form.channels)
        drawn = resnet(own, [256, 512, 1024, 2048], [3, 4, 6, 3], told.names, seed)
        model, new = _take_torchvision(drawn, weights, Path(source))
        scale = (recipe.pixel_mean, recipe.pixel_deviation)
    else:
        folder = find_model(source)
        refuse_changed(folder)
        check_weights(folder)
        known = labels_in(folder)
        drawn = _empty_like(folder, None if told is None else told.names, seed)
        model, new = _take_folder(drawn, folder)
        scale = scale_in(folder)
    if told is not None:
        is_new = any(name.startswith(HEAD) for name in new)
        say(f"model.from: {source}: {_set_head(model, drawn, known, told, is_new)}")
    model = _fitted(model, form, source, say)
    set_scale(model.config, scale, source)
    _mend_position_tables(model, source)
    return model.eval()


def _fitted(
    model: PreTrainedModel, form: PictureForm, source: str, say: Callable[[str], None]
) -> PreTrainedModel:
    """The model for pictures of the sources' size, which it reads in its own channels.

    Raises InputError for channels that pictures do not have.
    """
    config: Any = model.config
    if config.num_channels not in (1, 3):
        raise InputError(
            f"model.from: {source} reads pictures of {config.num_channels} channels; only models "
            "of 1 and of 3 are trained here"
        )
    if config.num_channels != form.channels:
        how = "grey is repeated" if form.channels == 1 else "colours become grey"
        say(f"model.from: {source}: reads {config.num_channels} channels, so {how} for it")
    # A ResNet of others says no size: it takes any.
    size = getattr(config, "image_size", form.size)
    if size not in (form.size, [form.size, form.size], (form.size, form.size)):
        fitted = at_size(model, form.size, source)
        if fitted is not model:
            say(f"model.from: {source}: positions for {size} pixels interpolated to {form.size}")
        model = fitted
    fitted_config: Any = model.config
    fitted_config.image_size = form.size
    return model


def labels_in(folder: Path) -> list[str] | None:
    """The labels that ``config.json`` gives a classifier's outputs; None when it names none.

    transformers writes LABEL_0, LABEL_1 ... where nobody named them.
    """
    with undisturbed():
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
    known = [str(config.id2label[k]) for k in sorted(config.id2label)]
    return None if known == [f"LABEL_{k}" for k in range(len(known))] else known


def kept_rows(known: list[str] | None, told: Labels) -> list[int] | None:
    """The outputs of a loaded head that stand for the labels told; None: it is another's.

    A head without names is taken for the labels that the recipe itself lists, in their order: of
    labels that were only found in the data nobody said which output is which.
    """
    if known is None:
        return list(range(len(told.names))) if told.named else None
    if sorted(known) != sorted(told.names):
        return None
    return [known.index(label) for label in told.names]


def _set_head(
    model: PreTrainedModel,
    drawn: PreTrainedModel,
    known: list[str] | None,
    told: Labels,
    is_new: bool,
) -> str:
    """Put the head's rows in order, or draw it anew; what was done, in words."""
    rows = None if is_new else kept_rows(known, told)
    head = {n: t for n, t in model.state_dict().items() if n.startswith(HEAD)}
    start, names = drawn.state_dict(), ", ".join(told.names)
    for name, tensor in head.items():
        tensor.copy_(start[name] if rows is None else tensor[rows].clone())
    if rows is None:
        why = "" if is_new else f", the loaded one tells {', '.join(known or ['no names'])}"
        return f"the head is drawn anew for {names}{why}"
    if rows == sorted(rows):
        return f"the head is kept for {names}"
    return f"the head is kept, its outputs put in the order {names}"


def _empty_like(folder: Path, labels: Sequence[str] | None, seed: int) -> PreTrainedModel:
    """The body that ``folder`` describes under the head that the objective needs."""
    with undisturbed():
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        kind = config.model_type
        if labels is not None:
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: i for i, label in enumerate(labels)}
        if labels is None and kind == "vit_mae":
            model = ViTMAEForPreTraining(config)
        elif labels is not None and kind in ("vit", "vit_mae"):
            kept = {k: v for k, v in config.to_dict().items() if k in ViTConfig().to_dict()}
            model = ViTForImageClassification(ViTConfig(**{**kept, "model_type": "vit"}))
        elif labels is not None and kind == "resnet":
            model = ResNetForImageClassification(config)
        else:
            objective = "masked_patches" if labels is None else "classification"
            raise InputError(
                f"model.from: {folder} is a {kind}, which {objective} cannot train; give a "
                f"{'ViT-MAE' if labels is None else 'ViT, ViT-MAE or ResNet'} folder"
            )
    draw_vision_weights(model, seed)
    return model


STEM = "resnet.embedder.embedder.convolution.weight"
HEAD = "classifier."
HEADS = (HEAD, "decoder.", "pooler.", "vit.pooler.")  # what may be new, or left behind


def _take_folder(drawn: PreTrainedModel, folder: Path) -> tuple[PreTrainedModel, set[str]]:
    """The folder's weights in ``drawn``'s architecture, and the names of those that it lacks.

    Heads that it lacks are as drawn. Raises InputError when the body lacks weights or the folder
    has others.
    """
    kind: Any = type(drawn)
    with undisturbed():
        model, found = kind.from_pretrained(
            folder,
            config=drawn.config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    new = {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])}
    strange = sorted(n for n in found["unexpected_keys"] if not n.startswith(HEADS))
    missing = sorted(n for n in new if not n.startswith(HEADS))
    if strange or missing:
        what = "has no place in the model" if strange else "is missing or of another size"
        raise InputError(
            f"{folder}: {(strange or missing)[0]} {what}; weights and config.json must belong "
            "together"
        )
    own, start = model.state_dict(), drawn.state_dict()
    for name in new:
        own[name].copy_(start[name])
    return model, new


def _torchvision_weights(path: Path) -> dict[str, Tensor]:
    """The file's weights under transformers' names."""
    try:
        return from_torchvision(load_file(path))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: no whole safetensors file ({error}); save it again") from error


def _take_torchvision(
    drawn: PreTrainedModel, weights: Mapping[str, Tensor], path: Path
) -> tuple[PreTrainedModel, set[str]]:
    """torchvision's weights in a copy of ``drawn``, and the names of those that do not fit.

    The head may be one of them. Older files do not count the batches that a norm has seen: 0.
    """
    model = copy.deepcopy(drawn)
    own = model.state_dict()
    fits = {n: t for n, t in weights.items() if n in own and own[n].shape == t.shape}
    new = {n for n in own if n not in fits}
    of_body = {n for n in new if not n.startswith(HEAD)}
    if missing := sorted(n for n in of_body if not n.endswith("num_batches_tracked")):
        raise InputError(
            f"{path}: {missing[0]} is missing or of another size; give a whole ResNet-50"
        )
    model.load_state_dict(fits, strict=False)
    return model, new


def _mend_position_tables(model: nn.Module, source: str) -> None:
    """Fill a decoder's table that is blind; raises InputError for a blind encoder.

    transformers leaves the table of a decoder zero when a folder holds the encoder alone, and both
    when a model was made from a configuration: such an encoder was trained without positions.
    """
    for name, parameter in model.named_parameters():
        if not name.endswith(TABLES):
            continue
        if is_masked_autoencoder(model):
            parameter.requires_grad_(False)  # what a folder lacks comes back trainable
        if len(torch.unique(parameter[0, 1:], dim=0)) > 1:
            continue
        if not name.startswith("decoder."):
            raise InputError(
                f"model.from: {source} was trained without positions, the rows of {name} are "
                "equal; train it from scratch with preset vit_mae, which has them"
            )
        fill_table(parameter)

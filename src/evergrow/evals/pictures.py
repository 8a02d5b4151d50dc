"""What a vision model can do: reconstruct, separate classes, classify; on held-out pictures.

N pictures, L patches, D features, K classes.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evergrow.errors import InputError
from evergrow.models.pixels import in_channels, model_input, shown_pixels
from evergrow.models.vision import patches, unpatched

AT_ONCE = 128  # pictures a forward pass
NEIGHBOURS = 20
COMPARED = 2048  # pictures compared with all training ones at once


def target_patches(pixels_NCHW: Tensor, patch: int, normalised: bool) -> Tensor:
    """[N, L, P]: each patch's pixels, normalised: less their mean, over their deviation.

    Normalised targets are section 5 of He et al. 2022.
    """
    cut = patches(pixels_NCHW, patch)
    if not normalised:
        return cut
    mean, variance = cut.mean(-1, keepdim=True), cut.var(-1, keepdim=True)
    return (cut - mean) / (variance + 1e-6).sqrt()


def masked_patches(noise_NL: Tensor, ratio: float) -> Tensor:
    """[N, L] bool: all but the int(L (1 - ratio)) patches of smallest noise."""
    kept = int(noise_NL.shape[1] * (1 - ratio))
    return noise_NL.argsort(dim=1).argsort(dim=1) >= kept


def reconstruction_errors(model: nn.Module, pixels_NCHW: Tensor, noise_NL: Tensor) -> np.ndarray:
    """[N] mean squared error of the target's pixels in masked patches, masks from the noise.

    The same pictures and noise give the same numbers: what rises was forgotten.
    """
    config: Any = model.config
    device = next(model.parameters()).device
    found = []
    training = model.training
    model.eval()
    with torch.inference_mode():
        for i in range(0, len(pixels_NCHW), AT_ONCE):
            pixels = model_input(model, pixels_NCHW[i : i + AT_ONCE])
            noise = noise_NL[i : i + AT_ONCE]
            logits = model(pixels.to(device), noise=noise.to(device)).logits.cpu()
            target = target_patches(pixels, config.patch_size, config.norm_pix_loss)
            errors = (logits - target).pow(2).mean(-1)
            masked = masked_patches(noise, config.mask_ratio)
            found.append((errors * masked).sum(1) / masked.sum(1))
    model.train(training)
    return torch.cat(found).double().numpy()


def mean_patch_errors(
    train: Iterable[Tensor],
    held_out: Iterable[tuple[Tensor, Tensor]],
    patch: int,
    ratio: float,
    normalised: bool,
) -> np.ndarray:
    """[N] the same error of the best constant: every pixel's mean target over training.

    ``train`` gives pixels [n, C, H, W], ``held_out`` pixels and noise [n, L], each in parts: the
    pixels that the model reads (``model_input``). A model that does not beat it has learnt nothing
    of the pictures.
    """
    total, num = torch.zeros(()), 0
    for pixels in train:
        part = target_patches(pixels, patch, normalised)
        total, num = total + part.sum(0), num + len(part)
    found = []
    for pixels, noise in held_out:
        errors = (target_patches(pixels, patch, normalised) - total / num).pow(2).mean(-1)
        masked = masked_patches(noise, ratio)
        found.append((errors * masked).sum(1) / masked.sum(1))
    return torch.cat(found).double().numpy()


def reconstruct(model: nn.Module, pixels_NCHW: Tensor, noise_NL: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures with their masked patches black, and as the model completes them, both [N, C, H, W].

    A normalised patch is brought back with its true mean and deviation, as the authors show theirs.
    """
    config: Any = model.config
    device = next(model.parameters()).device
    pixels = model_input(model, pixels_NCHW)
    with torch.inference_mode():
        logits = model.eval()(pixels.to(device), noise=noise_NL.to(device)).logits.cpu()
    cut = patches(pixels, config.patch_size)
    mean, variance = cut.mean(-1, keepdim=True), cut.var(-1, keepdim=True)
    masked = masked_patches(noise_NL, config.mask_ratio)[..., None]
    drawn = logits * (variance + 1e-6).sqrt() + mean if config.norm_pix_loss else logits
    made = torch.where(masked, drawn, cut)
    shape = (config.patch_size, config.num_channels)
    as_read = in_channels(pixels_NCHW, config.num_channels)
    seen = torch.where(masked, torch.zeros(()), patches(as_read, config.patch_size))
    return unpatched(seen, *shape), shown_pixels(model, unpatched(made, *shape))


def features(model: nn.Module, pixels_NCHW: Tensor) -> np.ndarray:
    """[N, D] the mean over patches (no mask), or what a classifier's head reads."""
    device = next(model.parameters()).device
    plain: Any = model
    found = []
    training = model.training
    model.eval()
    with torch.inference_mode():
        for i in range(0, len(pixels_NCHW), AT_ONCE):
            pixels = model_input(model, pixels_NCHW[i : i + AT_ONCE].to(device))
            found.append(_features(plain, pixels).cpu())
    model.train(training)
    return torch.cat(found).double().numpy()


def _features(model: Any, pixels: Tensor) -> Tensor:
    kind = model.config.model_type
    if kind == "vit_mae":
        return _unmasked(model.vit, pixels)[:, 1:].mean(1)
    if kind == "vit":
        return model.vit(pixels).last_hidden_state[:, 0]
    if kind == "resnet":
        return model.resnet(pixels).pooler_output.flatten(1)
    raise InputError(f"model: no features of a {kind}; give a ViT, a ViT-MAE or a ResNet")


def _unmasked(encoder: Any, pixels: Tensor) -> Tensor:
    """All patches in order through a masked autoencoder's encoder: ratio 0, ascending noise."""
    ratios = (encoder.config.mask_ratio, encoder.embeddings.config.mask_ratio)
    length = encoder.embeddings.patch_embeddings.num_patches
    ascending = torch.arange(length, device=pixels.device).float().expand(len(pixels), -1)
    encoder.config.mask_ratio = encoder.embeddings.config.mask_ratio = 0.0
    try:
        return encoder(pixels, noise=ascending).last_hidden_state
    finally:
        encoder.config.mask_ratio, encoder.embeddings.config.mask_ratio = ratios


def linear_probe(
    train_ND: np.ndarray, train_labels: Sequence[str], test_ND: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Predicted labels [N], their probabilities [N, K] and the classes, of a logistic regression.

    Features are standardised by the training part; the penalty is scikit-learn's default. It is
    fitted to convergence, so cached and fresh features give the same up to rounding.
    """
    from sklearn.linear_model import LogisticRegression

    mean, deviation = train_ND.mean(0), train_ND.std(0)
    scale = np.where(deviation > 1e-12, deviation, 1.0)
    fitted = LogisticRegression(max_iter=5_000, tol=1e-8)
    fitted.fit((train_ND - mean) / scale, list(train_labels))
    probabilities = fitted.predict_proba((test_ND - mean) / scale)
    classes = [str(c) for c in fitted.classes_]
    return np.array(classes)[probabilities.argmax(1)], probabilities, classes


def nearest_neighbours(
    train_ND: np.ndarray, train_labels: Sequence[str], test_ND: np.ndarray
) -> np.ndarray:
    """The label of most of the 20 nearest training pictures by cosine, ties by the alphabet."""
    unit = [
        x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (train_ND, test_ND)
    ]
    num = min(NEIGHBOURS, len(train_ND))
    order = np.concatenate(
        [
            np.argsort(-(unit[1][i : i + COMPARED] @ unit[0].T), axis=1, kind="stable")[:, :num]
            for i in range(0, len(test_ND), COMPARED)
        ]
    )
    classes, numbers = np.unique(np.array(train_labels), return_inverse=True)
    votes = np.stack([(numbers[order] == k).sum(1) for k in range(len(classes))], axis=1)
    return classes[votes.argmax(1)]


def chances_of(model: nn.Module, pixels_NCHW: Tensor) -> np.ndarray:
    """[N, K] of a classifier: rows sum to 1, or each finding has its own chance."""
    plain: Any = model
    is_each = plain.config.problem_type == "multi_label_classification"
    device = next(model.parameters()).device
    found = []
    training = model.training
    model.eval()
    with torch.inference_mode():
        for i in range(0, len(pixels_NCHW), AT_ONCE):
            pixels = model_input(model, pixels_NCHW[i : i + AT_ONCE].to(device))
            logits = model(pixels).logits.float()
            found.append((logits.sigmoid() if is_each else logits.softmax(-1)).cpu())
    model.train(training)
    return torch.cat(found).double().numpy()


def grad_cam(model: nn.Module, pixels_NCHW: Tensor, classes_N: Sequence[int]) -> Tensor:
    """[N, H, W] in [0, 1]: where the last stage speaks for a class (Selvaraju et al. 2017).

    relu(sum_c a_c A_c), a_c the class score's gradient averaged over places, scaled to its own
    maximum and enlarged to the picture; for a transformer the places are the patches before the
    last block, whose later change only reaches the class token.
    """
    plain: Any = model
    kind = plain.config.model_type
    if kind not in ("resnet", "vit"):
        raise InputError(f"model: no class activation map of a {kind}; give a ResNet or a ViT")
    layer = (
        plain.resnet.encoder.stages[-1]
        if kind == "resnet"
        else plain.vit.layers[-1].layernorm_before
    )
    kept: dict[str, Tensor] = {}

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        kept["map"] = output
        output.retain_grad()

    handle = layer.register_forward_hook(keep)
    device, training = next(model.parameters()).device, model.training
    model.eval()
    try:
        with torch.enable_grad():
            pixels = model_input(model, pixels_NCHW.to(device)).detach().clone()
            pixels.requires_grad_(True)
            logits = plain(pixels).logits
            logits[torch.arange(len(pixels)), torch.tensor(list(classes_N))].sum().backward()
    finally:
        handle.remove()
        model.train(training)
        model.zero_grad(set_to_none=True)
    gradient = kept["map"].grad
    assert gradient is not None
    maps, gradients = _places(kept["map"].detach().cpu()), _places(gradient.cpu())
    weights = gradients.mean((2, 3), keepdim=True)
    heat = torch.relu((weights * maps).sum(1, keepdim=True))
    size = tuple(pixels_NCHW.shape[-2:])
    large = nn.functional.interpolate(heat, size=size, mode="bilinear", align_corners=False)[:, 0]
    return large / large.amax((1, 2), keepdim=True).clamp(min=1e-12)


def _places(values: Tensor) -> Tensor:
    """[N, C, h, w], from a transformer's [N, 1 + L, D] without the class token."""
    if values.ndim == 4:
        return values
    side = int((values.shape[1] - 1) ** 0.5)
    return values[:, 1:].transpose(1, 2).reshape(len(values), -1, side, side)

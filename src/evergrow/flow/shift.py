"""How far new text lies from what a model knows, and what follows for replay and rate.

Nothing is written and nothing trained; of every text a sample is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from transformers import PreTrainedModel

from evergrow.config import decode
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import read_documents
from evergrow.errors import InputError
from evergrow.flow.first_stage import SEQUENCE_LENGTH, absolute
from evergrow.flow.rates import likely_rates
from evergrow.models.describe import context_window
from evergrow.models.find import find_model
from evergrow.models.kind import OF_PICTURES, kind_of
from evergrow.models.load import load_model
from evergrow.objectives.text import HeldOut, measure_text
from evergrow.recipe import Recipe
from evergrow.run import Run, root_of
from evergrow.scores.store import losses, read_scores
from evergrow.stream.tokenizer import encode_documents, load_tokenizer

READ_BYTES = 1_000_000  # of a text, from all of its files in turn
SAMPLE_BYTES = 16_000  # of these, evenly spread: some 4,000 tokens, seconds of a 135M model
BYTES_A_TOKEN = 4

# New over old, in bits per byte. Ibrahim et al. 2403.08763 call Pile to SlimPajama weak: their 10B
# model stood at 1.75 and 2.24 nats, 1.28. The bounds lie between pairs of texts that a tiny model
# told apart, which are not those in docs/log.md.
WEAK, STRONG = 1.1, 1.5
SHARES = {"hardly any": 0.01, "a weak": 0.05, "a strong": 0.25}
WHY_SHARE = {
    "hardly any": "1 % took the old loss from 2.44 to 2.26, the new stayed at 2.50",
    "a weak": "5 % took the old loss from 2.44 to 2.23, the new from 2.50 to 2.51",
    "a strong": "25 % took the old loss from 3.56 to 2.33, the new from 1.11 to 1.16",
}
PAPER = "Ibrahim et al. 2403.08763, table 2"
UNKNOWN_SHARE = SHARES["a weak"]
START = 0.3, 1.0  # of a documented peak, to begin with


@dataclass(frozen=True)
class Seen:
    """The loss on a text in bits per byte with its 95 % interval, over so many bytes.

    ``recorded``: of all its held-out part, measured when the model was released.
    """

    name: str
    loss: float
    low: float
    high: float
    num_bytes: int
    recorded: bool


@dataclass(frozen=True)
class Shift:
    """New text beside the old ones, and what is proposed.

    ``ratio`` is the new loss over the mean of the old ones; None where there is no old text.
    ``share`` is that of old text in the new stage, ``option`` the one that asks for it. ``rate`` is
    a careful one and ``peak`` the highest; None where a run's schedule has it.
    """

    model: str
    new: Seen
    old: list[Seen]
    ratio: float | None
    share: float
    option: str
    why_share: str
    rate: float | None
    peak: float | None
    why_rate: str


def kind_of_shift(ratio: float) -> str:
    """``hardly any``, ``a weak`` or ``a strong`` shift."""
    return "hardly any" if ratio < WEAK else "a weak" if ratio < STRONG else "a strong"


def measure_shift(model: str, data: Sequence[str], evaluate: Sequence[str] = ()) -> Shift:
    """Load a model, measure samples of ``data`` and of its old text, and propose what follows.

    The old text of a run is what it learnt, as recorded of its newest release; of another model
    ``evaluate``. Raises InputError for a model of pictures and for texts without words.
    """
    folder = find_model(model)
    loaded, tokenizer = load_model(folder), load_tokenizer(folder)
    if kind_of(loaded) in OF_PICTURES:
        raise InputError(f"{model}: reads pictures; the shift is measured of text alone")
    run = run_of(folder, model)
    window = min(context_window(loaded) or SEQUENCE_LENGTH, _window(run))
    old = _recorded(run, folder) if run else []
    texts = {"new": data, **({"old": evaluate} if evaluate else {})}
    found = _measured(loaded, tokenizer, texts, window)
    old += [one for one in found if one.name == "old"]
    ratio = found[0].loss / mean(one.loss for one in old) if old else None
    share, why_share = _share(ratio)
    rate, peak, why_rate = (None, None, _OF_THE_RUN) if run else _rate(folder)
    return Shift(
        model=model,
        new=found[0],
        old=old,
        ratio=ratio,
        share=share,
        option=f"--replay {share:g}" if run else f"--mix GENERAL_FILES {share:g}",
        why_share=why_share,
        rate=rate,
        peak=peak,
        why_rate=why_rate,
    )


def run_of(folder: Path, model: str) -> Run | None:
    """The run whose trunk would go on: ``model`` is its folder, ``folder`` its newest release."""
    is_release = folder.parent.name == "releases" and Path(model).resolve() != folder.resolve()
    return Run(folder.parents[1]) if is_release else None


def _window(run: Run | None) -> int:
    """The window in which old text was measured."""
    if run is None:
        return SEQUENCE_LENGTH
    recipe = decode(Recipe, run.manifest.recipe, "manifest.recipe")
    return recipe.train_of(len(recipe.stages) - 1).sequence_length


def _recorded(run: Run, folder: Path) -> list[Seen]:
    """What the newest release scored on the streams of its run."""
    record = next(stage for stage in run.manifest.stages if _is_of(run, stage.release, folder))
    data = [Path(path).name for path in run.manifest.data.values()]
    scores = losses(read_scores(root_of(run), record.key, data))
    recipe = decode(Recipe, run.manifest.recipe, "manifest.recipe")
    return [
        Seen(name, one.loss, one.low, one.high, one.counts.get("num_bytes", 0), True)
        for name, one in scores.items()
        if name in recipe.streams
    ]


def _is_of(run: Run, release: str | None, folder: Path) -> bool:
    return release is not None and (run.folder / release).resolve() == folder.resolve()


def _measured(
    model: PreTrainedModel, tokenizer: Any, texts: Mapping[str, Sequence[str]], window: int
) -> list[Seen]:
    held: dict[str, HeldOut] = {}
    for name, globs in texts.items():
        pieces = sample(globs, name, BYTES_A_TOKEN * window)
        sizes = np.array([len(piece.encode()) for piece in pieces])
        held[name] = HeldOut(encode_documents(tokenizer, pieces), sizes)
    return [
        Seen(one.source, one.loss, one.low, one.high, one.counts["num_bytes"], False)
        for one in measure_text(model, held, tokenizer, window)
    ]


def sample(globs: Sequence[str], name: str, length: int) -> list[str]:
    """SAMPLE_BYTES in pieces of about ``length`` characters, evenly from the first READ_BYTES.

    Raises InputError for fewer than two pieces, which have no interval.
    """
    config = SourceConfig(files=absolute(globs), max_bad=1)
    documents = read_documents(config, Path.cwd(), Quarantine(name))
    pieces = list(_pieces((document.text for document in documents), length))
    wanted = max(2, SAMPLE_BYTES // length)
    if len(pieces) < 2:
        raise InputError(
            f"{name}: too short to be measured; give files of 2,000 characters or more"
        )
    places = np.unique(np.linspace(0, len(pieces) - 1, wanted).round().astype(int))
    return [pieces[place] for place in places]


def _pieces(texts: Iterator[str], length: int) -> Iterator[str]:
    """Pieces of ``length`` characters, and ends of at least half as many."""
    read = 0
    for text in texts:
        for start in range(0, len(text), length):
            piece = text[start : start + length]
            if 2 * len(piece) >= length:
                yield piece
        read += len(text.encode())
        if read >= READ_BYTES:
            return


def _share(ratio: float | None) -> tuple[float, str]:
    if ratio is None:
        return UNKNOWN_SHARE, f"no old text says how far it is, and 5 % cost little ({PAPER})"
    kind = kind_of_shift(ratio)
    bound = f"below {WEAK:g}" if ratio < WEAK else f"below {STRONG:g}" if ratio < STRONG else ""
    said = f"{ratio:.2f} times the old loss, {bound or f'{STRONG:g} or more'}: {kind} shift"
    return SHARES[kind], f"{said}; {WHY_SHARE[kind]} ({PAPER})"


_OF_THE_RUN = "the run's schedule goes on"


def _rate(folder: Path) -> tuple[float, float, str]:
    """A careful rate, the peak, and who says so."""
    peak, _, source = likely_rates(folder, None)
    low, high = START
    return (
        low * peak,
        peak,
        f"--peak-lr {low * peak:.3g} to {high * peak:.3g}, {low:g} to {high:g} times the peak "
        f"{peak:.3g} ({source}): higher learns more and forgets more (Gupta et al. 2308.04014); "
        "evergrow rewarm measures it",
    )

"""Two small sources whose every document has a known fate, and what two corpora must share."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.executor import Executor
from evergrow.corpus.curate.stages import Order, curate_corpus
from evergrow.corpus.curate.units import tidied

WORDS = ["tree", "root", "leaf", "moss", "stone", "hill", "wave", "salt", "tide", "reef", "sail"]
FILLING = ["the", "of", "and", "to", "that", "have", "with", "be"]
ITEM = "name every number between one and nine thousand that is the sum of two odd cubes"
SETTINGS: dict[str, Any] = {
    "sources": ["news", "notes"],
    "policy": {"presets": ["gopher"], "edits": ["mask_emails"]},
    "decontaminate": {"suites": ["items.jsonl"]},
    "signals": [],
    "shard_bytes": 2_500,
}


def prose(seed: int, num_words: int = 120) -> str:
    """Text that passes every rule of gopher, of words nobody else draws in this order."""
    choose = random.Random(seed)
    words = [choose.choice(FILLING if i % 3 else WORDS) + _end(choose, i) for i in range(num_words)]
    return " ".join(words) + "\n"


def _end(choose: random.Random, place: int) -> str:
    return f"{choose.choice('abcdefgh')}{choose.choice('aeiou')}l" if place % 3 == 0 else ""


SHORT = prose(60, num_words=40)  # gopher asks for 50


def write_texts(folder: Path) -> Path:
    """12 documents of news and 6 of notes, and a suite of one item."""
    for name in ("news", "notes"):
        (folder / name).mkdir(parents=True)
    texts = {f"news/{i:02d}.txt": prose(i) for i in range(8)}
    texts["news/short.txt"] = SHORT
    texts["news/leaked.txt"] = prose(20) + ITEM + "\n" + prose(21)
    texts["news/mail.txt"] = prose(22) + "write to anna.kern@example.org about it\n"
    texts["news/near.txt"] = prose(3) + "and one more line of words\n"  # longer than 03.txt
    texts["notes/copy.txt"] = prose(1)
    texts |= {f"notes/{i}.txt": prose(40 + i) for i in range(4)}
    texts["notes/blank.txt"] = " \n \n"
    for path, text in texts.items():
        (folder / path).write_text(text, encoding="utf-8")
    item = {"id": "cubes", "prompt": ITEM, "solution": ""}
    (folder / "items.jsonl").write_text(json.dumps(item) + "\n", encoding="utf-8")
    return folder


FATES = {
    "news/short.txt": "gopher.min_words",
    "news/leaked.txt": "contamination.items",
    "news/03.txt": "near.document",
    "notes/copy.txt": "exact.document",
    "notes/blank.txt": "text.blank",
}


def make(
    folder: Path,
    base: Path,
    *,
    workers: int = 1,
    earlier: Sequence[Path] = (),
    max_bad: float = 0.001,
    of: Mapping[str, SourceConfig] | None = None,
    **changes: Any,
) -> Corpus:
    """The corpus of SETTINGS with changes, in ``folder``."""
    config = CorpusConfig.model_validate(SETTINGS | changes)
    with tidied(folder), Executor(config.executor, workers) as executor:
        order = Order(
            folder=folder,
            name=folder.name,
            where=f"corpora.{folder.name}",
            config=config,
            sources=of
            or {
                name: SourceConfig(files=[f"{name}/*"], max_bad=max_bad) for name in config.sources
            },
            base=base,
            earlier=earlier,
            executor=executor,
            tell=lambda stage, done, total: None,
        )
        return curate_corpus(order)


def contents(folder: Path) -> dict[str, bytes]:
    """Every byte of a corpus, by path; not the times at which raw files were hashed."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith(".hashes.json")
    }


def steps(corpus: Corpus) -> dict[str, int]:
    """By rule the documents it dropped, without those that dropped none."""
    told = corpus.manifest.waterfall.steps
    return {step.rule: step.documents for step in told if step.documents}

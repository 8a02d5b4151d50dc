"""A model's score on a suite: asked, judged, written beside its other scores and read again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.disk import checksum
from evergrow.errors import InputError
from evergrow.evals.suites.asking import (
    answer_all,
    asks_of,
    drawn,
    read_answers,
    sampling_of,
)
from evergrow.evals.suites.choices import choose
from evergrow.evals.suites.config import Asked
from evergrow.evals.suites.items import Item, Suite
from evergrow.evals.suites.judging import Judged, judge_choices, judge_texts
from evergrow.evals.suites.records import ItemScore, SuiteScore
from evergrow.made import Made, chosen
from evergrow.sandbox.probe import tier
from evergrow.scores.programs import judge_programs
from evergrow.scores.store import Score, path_of, read_kind, write_score

VERSION = 1  # raise by hand when the same answers would be judged, or made, otherwise
Load = Callable[[], tuple[Any, PreTrainedTokenizerBase]]  # model and tokenizer


@dataclass(frozen=True)
class Scored:
    """Who is scored: the key of a model in the scores of ``root``, its name, and how to load it.

    ``searched`` says for a suite whether the training data was searched for it.
    """

    root: Path
    key: str
    name: str
    load: Load
    searched: Callable[[Suite], str]


def score_suite(
    who: Scored,
    suite: Suite,
    asked: Asked,
    answers: Path | None = None,
    allow_unsandboxed: bool = False,
) -> SuiteScore:
    """The score of ``who`` on ``suite``; one that was made before is read.

    ``answers`` are judged instead of asking the model. Raises InputError for a suite that holds
    other items than when ``who`` was scored on it, and what loading, asking and judging refuse.
    """
    if answers is not None and suite.kind == "choice":
        raise InputError(
            f"--answers: {suite.name} is of choices, which are judged by probabilities; leave "
            "--answers out"
        )
    made = made_of(suite, asked, answers)
    path = path_of(who.root, who.key, "suite", suite.name, made)
    before = [score for kept in read_kind(who.root, who.key, "suite") for score in kept.suites]
    _refuse_changed(suite, before)
    if path.exists():
        return next(score for score in before if score.made == made)
    items = drawn(suite, asked.limit)
    judged = _judged(who, suite, items, asked, answers, allow_unsandboxed)
    by_model = answers is None and suite.kind != "choice"
    metric = next(iter(judged.values))
    score = SuiteScore(
        suite=suite.name,
        digest=suite.digest,
        license=suite.head.license,
        model=who.name,
        metric=metric,
        scores=judged.estimates(items),
        baselines=judged.baselines,
        samples=judged.samples,
        sampling=sampling_of(suite, asked) if by_model else None,
        chat=asked.chat,
        seed=asked.seed,
        counts=judged.counts,
        searched=who.searched(suite),
        tier=judged.tier,
        made=made,
        items=[
            ItemScore(id=item.id, cluster=item.cluster, value=value)
            for item, value in zip(items, judged.values[metric], strict=True)
        ],
    )
    told = Score(release=who.key, kind="suite", data=suite.digest, made=made, suites=[score])
    write_score(path, told)
    return score


def is_scored(who: Scored, suite: Suite, asked: Asked) -> bool:
    """Whether ``score_suite`` would only read."""
    made = made_of(suite, asked, None)
    return path_of(who.root, who.key, "suite", suite.name, made).exists()


def made_of(suite: Suite, asked: Asked, answers: Path | None) -> str:
    """The key of a score: items, how they are asked, and answers made elsewhere."""
    inputs = {"suite": suite.digest}
    if answers is not None:
        inputs["answers"] = checksum(answers)
    return Made(version=VERSION, settings=chosen(asked), inputs=inputs).key


def _refuse_changed(suite: Suite, before: Sequence[SuiteScore]) -> None:
    other = [s for s in before if s.suite == suite.name and s.digest != suite.digest]
    if other:
        raise InputError(
            f"suite {suite.name}: holds other items than when {other[0].model} was scored on it "
            f"({suite.digest[:8]} now, {other[0].digest[:8]} then), and the two scores do not "
            "compare; give the changed suite a name of its own in its first row, or its old items "
            "back"
        )


def _judged(
    who: Scored,
    suite: Suite,
    items: Sequence[Item],
    asked: Asked,
    answers: Path | None,
    allow_unsandboxed: bool,
) -> Judged:
    if suite.kind == "program":
        tier(allow_unsandboxed)  # before hours of answers that nothing may carry out
    if suite.kind == "choice":
        model, tokenizer = who.load()
        return judge_choices(
            items, choose(model, tokenizer, items, asks_of(suite, tokenizer, asked.chat))
        )
    if answers is not None:
        given = read_answers(answers, suite, items)
    else:
        model, tokenizer = who.load()
        given = answer_all(model, tokenizer, suite, items, asked)
    if suite.kind == "program":
        return judge_programs(items, given, allow_unsandboxed)
    return judge_texts(items, given)

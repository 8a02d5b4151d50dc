"""Programs that answer a suite's items, carried out in the sandbox and judged."""

from collections import Counter
from collections.abc import Sequence

from evergrow.evals.suites.asking import Given
from evergrow.evals.suites.items import Item, Program
from evergrow.evals.suites.judging import EMPTY, Judged, ends, passes
from evergrow.sandbox.code import CodeTask, Verdict, verify_all


def judge_programs(
    items: Sequence[Item], given: Sequence[Sequence[Given]], allow_unsandboxed: bool
) -> Judged:
    """pass@k of programs, which are carried out in the sandbox, an empty one for each item too."""
    pairs = [(_task(item), one.text) for item, own in zip(items, given, strict=True) for one in own]
    empty = [(_task(item), "") for item in items]
    verdicts = verify_all([*pairs, *empty], allow_unsandboxed=allow_unsandboxed)
    told, of_empty = verdicts[: len(pairs)], verdicts[len(pairs) :]
    samples = len(given[0])
    num_right = [
        sum(verdict.kind == "passed" for verdict in told[first : first + samples])
        for first in range(0, len(told), samples)
    ]
    baseline = sum(verdict.kind == "passed" for verdict in of_empty) / len(items)
    counts = dict(Counter(_said(verdict) for verdict in told)) | ends(given)
    return Judged(passes(num_right, samples), {EMPTY: baseline}, counts, samples, told[0].tier)


def _said(verdict: Verdict) -> str:
    """What a verdict counts as: one in another language is no program here."""
    return "no Python" if verdict.detail.endswith("not in Python") else verdict.kind


def _task(item: Item) -> CodeTask:
    program = item.task
    assert isinstance(program, Program)
    return CodeTask(item.id, item.prompt, program.function, program.tests, program.solution)

"""From answers to shares that are right, item by item, and what can be had without a model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evergrow.evals.suites.asking import Given
from evergrow.evals.suites.intervals import mean_of, pass_at
from evergrow.evals.suites.items import LETTERS, Answer, Choice, Constraints, Item
from evergrow.evals.suites.records import Estimate
from evergrow.evals.suites.verifiers import VERIFIERS

TIMES = (1, 10, 100)  # k of pass@k
EMPTY = "empty answer"


@dataclass(frozen=True)
class Judged:
    """Values of every item by metric, the suite's own first; counts of answers, baselines."""

    values: dict[str, list[float]]
    baselines: dict[str, float]
    counts: dict[str, int] = field(default_factory=dict)
    samples: int = 1
    tier: str | None = None

    def estimates(self, items: Sequence[Item]) -> dict[str, Estimate]:
        """The mean of each metric with its interval."""
        clusters = [item.cluster for item in items]
        found = {metric: mean_of(values, clusters) for metric, values in self.values.items()}
        return {metric: Estimate(**mean._asdict()) for metric, mean in found.items()}


def judge_choices(items: Sequence[Item], told: Mapping[str, list[int]]) -> Judged:
    """``told`` has by method the place that was chosen for each item."""
    tasks = [item.task for item in items if isinstance(item.task, Choice)]
    values = {
        method: [float(place == t.right) for place, t in zip(places, tasks, strict=True)]
        for method, places in told.items()
    }
    ((place, num),) = Counter(task.right for task in tasks).most_common(1)
    return Judged(
        values,
        {
            "a guess": sum(1 / len(task.choices) for task in tasks) / len(tasks),
            f"always {LETTERS[place]}": num / len(tasks),
        },
    )


def judge_texts(items: Sequence[Item], given: Sequence[Sequence[Given]]) -> Judged:
    """Answers that are compared, or must keep to constraints; the mean over an item's answers."""
    values = [
        sum(right(item, one.text) for one in answers) / len(answers)
        for item, answers in zip(items, given, strict=True)
    ]
    baselines = {EMPTY: sum(right(item, "") for item in items) / len(items)}
    tasks = [item.task for item in items if isinstance(item.task, Answer)]
    if tasks:
        ((most, _),) = Counter(task.answer for task in tasks).most_common(1)
        baselines["commonest answer"] = sum(right(item, most) for item in items) / len(items)
    metric = "f1" if tasks and tasks[0].verifier == "f1" else "accuracy"
    return Judged({metric: values}, baselines, ends(given), len(given[0]))


def right(item: Item, text: str) -> float:
    """How right a text is, from 0 to 1."""
    if isinstance(item.task, Constraints):
        return float(all(constraint.holds(text) for constraint in item.task.constraints))
    assert isinstance(item.task, Answer)
    return VERIFIERS[item.task.verifier](text, item.task.answer)


def ends(given: Sequence[Sequence[Given]]) -> dict[str, int]:
    """How many answers were cut at their longest."""
    cut = sum(one.cut for answers in given for one in answers)
    return {"cut at the most tokens": cut} if cut else {}


def passes(num_right_N: Sequence[int], samples: int) -> dict[str, list[float]]:
    """pass@k of every item for each k of TIMES that ``samples`` allow."""
    return {
        f"pass@{k}": [pass_at(k, num_right, samples) for num_right in num_right_N]
        for k in TIMES
        if k <= samples
    }

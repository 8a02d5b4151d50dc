"""Programs are judged by what they do; the empty answer stands beside them."""

from evergrow.evals.suites.asking import Given
from evergrow.evals.suites.items import Item, Program
from evergrow.scores.programs import judge_programs

TESTS = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(-1) == 1\n"
PROMPT = 'def square(x):\n    """The square."""\n'
OTHER = "```javascript\nfunction square(x) { return x * x }\n```"
ITEMS = [
    Item(name, name, PROMPT, Program("square", TESTS, "    return x * x\n")) for name in ("a", "b")
]


def test_each_verdict_and_each_k() -> None:
    texts = ["    return x * x\n"] * 4 + ["    return 2 * x\n"] * 4 + ["    return (\n", OTHER]
    given = [
        [Given(text) for text in texts],
        [Given("```python\n" + PROMPT + "```", cut=True)] * 10,
    ]
    judged = judge_programs(ITEMS, given, allow_unsandboxed=True)
    assert judged.values == {"pass@1": [0.4, 0.0], "pass@10": [1.0, 0.0]}
    assert judged.baselines == {"empty answer": 0.0}
    assert judged.counts["passed"] == 4
    assert judged.counts["wrong"] == 14
    assert judged.counts["crashed"] == 1
    assert judged.counts["no Python"] == 1
    assert judged.counts["cut at the most tokens"] == 10
    assert (judged.samples, bool(judged.tier)) == (10, True)

"""What a model answers to the items of a suite."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.corpus.contamination.suites import read_suite
from evergrow.errors import InputError
from evergrow.evals.suites.config import Asked
from evergrow.evals.suites.items import Item, Kind, Suite
from evergrow.models.sample import write
from evergrow.models.sampling import Sampling

# What a model without chat reads, and where its answer ends, when the suite does not say.
TEMPLATES: dict[Kind, str] = {
    "choice": "Question: {prompt}\nAnswer:",
    "answer": "Question: {prompt}\nAnswer:",
    "constraints": "{prompt}",
    "program": "{prompt}",
}
STOPS: dict[Kind, list[str]] = {"answer": ["\nQuestion:"]}
ANSWER_FIELDS = ("completion", "answer", "text", "output", "response")


@dataclass(frozen=True)
class Given:
    """One answer; ``cut`` where it had no end of its own."""

    text: str
    cut: bool = False


def drawn(suite: Suite, limit: int | None) -> list[Item]:
    """The items that are asked: those of the smallest hashes, in the suite's order."""
    if limit is None or limit >= len(suite.items):
        return list(suite.items)
    chosen = {item.id for item in sorted(suite.items, key=lambda item: _hash(item.id))[:limit]}
    return [item for item in suite.items if item.id in chosen]


def asks_of(suite: Suite, tokenizer: PreTrainedTokenizerBase, chat: bool) -> Callable[[str], str]:
    """What a model reads of a prompt.

    Raises InputError where a chat is asked for and the tokenizer has no template.
    """
    if not chat:
        template = suite.head.template or TEMPLATES[suite.kind]
        return lambda prompt: template.replace("{prompt}", prompt)
    if tokenizer.chat_template is None:
        raise InputError(
            "--chat: the model's tokenizer has no chat template; leave --chat out, or train it on "
            "chats first (objective sft)"
        )
    template = suite.head.template or "{prompt}"

    def chatted(prompt: str) -> str:
        messages = [{"role": "user", "content": template.replace("{prompt}", prompt)}]
        settings: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
        return str(tokenizer.apply_chat_template(messages, **settings))

    return chatted


def sampling_of(suite: Suite, asked: Asked) -> Sampling:
    """How answers are drawn; in a chat the model ends them itself."""
    stop = [] if asked.chat else suite.head.stop or STOPS.get(suite.kind, [])
    return asked.sampling(suite.head.max_tokens, stop)


def answer_all(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    suite: Suite,
    items: Sequence[Item],
    asked: Asked,
) -> list[list[Given]]:
    """``asked.samples`` answers to each item; each drawn with a seed of item and sample alone."""
    asks = asks_of(suite, tokenizer, asked.chat)
    prompts = [asks(item.prompt) for item in items for _ in range(asked.samples)]
    seeds = [_seed(asked.seed, item.id, n) for item in items for n in range(asked.samples)]
    written = write(model, tokenizer, prompts, sampling_of(suite, asked), seeds)
    given = [Given(row.text, row.end == "length") for row in written]
    return [given[n : n + asked.samples] for n in range(0, len(given), asked.samples)]


def _seed(seed: int, item: str, sample: int) -> int:
    return int(_hash(json.dumps([seed, item, sample]))[:15], 16)


def _hash(text: str) -> str:
    return blake3(text.encode()).hexdigest()


def read_answers(path: Path, suite: Suite, items: Sequence[Item]) -> list[list[Given]]:
    """Answers to ``items`` made elsewhere: rows of ``id`` (or task_id) and ``completion`` (answer).

    A row without an id answers the item of its place, as items without ids are called.

    Raises InputError for an item without an answer, unequal numbers of them, and unknown ids.
    """
    if not path.is_file():
        raise InputError(f"--answers: {path} is no file; give JSONL of id and completion")
    found: dict[str, list[Given]] = {item.id: [] for item in suite.items}
    for number, row in enumerate(read_suite(str(path.absolute())).rows):
        name, text = _answer(row, path, number)
        if name not in found:
            raise InputError(
                f"{path}: row {number + 1} answers {name!r}, which the suite does not ask; give "
                "the answers of this suite"
            )
        found[name].append(Given(text))
    counts = {item.id: len(found[item.id]) for item in items}
    if len(set(counts.values())) > 1 or not all(counts.values()):
        name = min(counts, key=lambda name: counts[name])
        raise InputError(
            f"{path}: {name!r} has {counts[name]} answers and others have "
            f"{max(counts.values())}; give every item equally many"
        )
    return [found[item.id] for item in items]


def _answer(row: Mapping[str, Any], path: Path, number: int) -> tuple[str, str]:
    name = next((row[field] for field in ("id", "task_id", "key") if field in row), number)
    text = next((row[field] for field in ANSWER_FIELDS if field in row), None)
    if not isinstance(name, str | int) or not isinstance(text, str):
        raise InputError(
            f"{path}: row {number + 1} has no text (completion, answer); give one for each item"
        )
    return str(name), text

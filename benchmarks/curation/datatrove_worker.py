"""datatrove's filters as its users run them, and one rule at a time for the decisions."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils.text import split_into_words

from curation.jobs import read_texts, serve

QUALITY = {
    "min_words": ("min_doc_words", 50),
    "max_words": ("max_doc_words", 100_000),
    "min_word_length": ("min_avg_word_length", 3),
    "max_word_length": ("max_avg_word_length", 10),
    "bullet_lines": ("max_bullet_lines_ratio", 0.9),
    "ellipsis_lines": ("max_ellipsis_lines_ratio", 0.3),
    "alphabetic_words": ("max_non_alpha_words_ratio", 0.8),
    "stop_words": ("min_stop_words", 2),
    "symbols": ("max_symbol_word_ratio", 0.1),
}
PIECES = {
    "repeated_lines": ("dup_line_frac", 0.3),
    "repeated_paragraphs": ("dup_para_frac", 0.3),
    "repeated_line_characters": ("dup_line_char_frac", 0.2),
    "repeated_paragraph_characters": ("dup_para_char_frac", 0.2),
}
TOPS = ((2, 0.2), (3, 0.18), (4, 0.16))
DUPLICATES = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
FINEWEB = {
    "ended_lines": {"line_punct_thr": 0.12},
    "short_lines": {"short_line_thr": 0.67},
    "repeated_line_characters": {"char_duplicates_ratio": 0.01},
    "newlines": {"new_line_ratio": 0.3},
}
FINEWEB_OFF = {
    "line_punct_thr": -1.0,
    "short_line_thr": 2.0,
    "char_duplicates_ratio": 2.0,
    "new_line_ratio": 1e9,
}
C4_OFF = {"filter_lorem_ipsum": False, "filter_curly_bracket": False, "min_num_sentences": -1}


def rule_sets() -> dict[str, Callable[[], list[Any]]]:
    """By preset the filters with the published settings."""
    return {
        "gopher": lambda: [GopherQualityFilter(), GopherRepetitionFilter()],
        "c4": lambda: [C4QualityFilter()],
        "fineweb": lambda: [FineWebQualityFilter()],
    }


def single_rules() -> dict[str, Any]:
    """Filters that hold one rule each, by our name for it."""
    off = {argument: None for argument, _ in QUALITY.values()}
    silent = {argument: None for argument, _ in PIECES.values()}
    silent |= {"top_n_grams": (), "dup_n_grams": ()}
    rules: dict[str, Any] = {}
    for name, (argument, value) in QUALITY.items():
        rules[f"gopher.{name}"] = GopherQualityFilter(**(off | {argument: value}))
    for name, (argument, value) in PIECES.items():
        rules[f"gopher.{name}"] = GopherRepetitionFilter(**(silent | {argument: value}))
    for n, share in TOPS:
        settings = silent | {"top_n_grams": ((n, share),)}
        rules[f"gopher.top_{n}_gram"] = GopherRepetitionFilter(**settings)
    for n, share in DUPLICATES:
        settings = silent | {"dup_n_grams": ((n, share),)}
        rules[f"gopher.duplicate_{n}_grams"] = GopherRepetitionFilter(**settings)
    for name, settings in FINEWEB.items():
        rules[f"fineweb.{name}"] = FineWebQualityFilter(**(FINEWEB_OFF | settings))
    for name, settings in (
        ("lorem_ipsum", {"filter_lorem_ipsum": True}),
        ("brace", {"filter_curly_bracket": True}),
        ("sentences", {"min_num_sentences": 5}),
    ):
        rules[f"c4.{name}"] = C4QualityFilter(**(C4_OFF | settings))
    return rules


def time_filters(order: dict[str, Any]) -> dict[str, Any]:
    """CPU seconds of a preset over all documents, as a pipeline runs it; and what it keeps."""
    texts = list(read_texts(order["documents"]))
    begun = time.process_time()
    stream: Iterable[Document] = (Document(text=t, id=str(i)) for i, t in enumerate(texts))
    for step in rule_sets()[order["preset"]]():
        stream = step.run(stream)
    kept = sum(1 for _ in stream)
    return {"cpu_seconds": time.process_time() - begun, "kept": kept}


def decide(order: dict[str, Any]) -> dict[str, Any]:
    """For every document the rules that it fails, its words, and the words of every line."""
    presets = {name: make() for name, make in rule_sets().items()}
    rules = single_rules()
    with Path(order["output"]).open("w", encoding="utf-8") as output:
        for text in read_texts(order["documents"]):
            words = split_into_words(text)
            failed = [name for name, rule in rules.items() if not passes(rule, text)]
            kept = [n for n, steps in presets.items() if all(passes(s, text) for s in steps)]
            stripped = map(str.strip, text.splitlines())
            lines = [split_into_words(line) for line in stripped]
            record = {"words": words, "lines": lines, "failed": failed, "kept": kept}
            output.write(json.dumps(record) + "\n")
    return {}


def passes(rule: Any, text: str) -> bool:
    """Whether a filter keeps the text; filters may change the document that they are given."""
    result = rule.filter(Document(text=text, id="0"))
    return result[0] if isinstance(result, tuple) else bool(result)


if __name__ == "__main__":
    split_into_words("Load the tokenizer.")
    serve({"time": time_filters, "decide": decide})

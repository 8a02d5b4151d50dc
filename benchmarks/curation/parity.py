"""Decisions of evergrow and datatrove on the same documents, and why they differ where they do."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PRESETS = ("gopher", "c4", "fineweb")
OURS = {"gopher.hashes": "gopher.symbols", "gopher.ellipses": "gopher.symbols"}  # theirs is one
WITHOUT_TWIN = {"fineweb.min_lines"}  # a blank document fails all of theirs
GOAL_GIVEN, GOAL_OWN = 1.0, 0.97
_IS_WORD = (
    "datatrove takes emoji, bullets and arrows for words, as they are not in its list of "
    "punctuation; we count words with a letter or a digit, which is what the paper's text is about"
)
_IS_NGRAM = (
    "datatrove joins the words of an n-gram without a space and takes 'a bc' and 'ab c' for the "
    "same; we compare word by word, as 'n-gram' says"
)
READINGS = {
    "gopher.min_words": _IS_WORD,
    "gopher.max_words": _IS_WORD,
    "gopher.min_word_length": _IS_WORD,
    "gopher.max_word_length": _IS_WORD,
    **{f"gopher.duplicate_{n}_grams": _IS_NGRAM for n in range(5, 11)},
}
WORDS = (
    "words that both split alike but for these places (theirs -> ours): spaCy merges what looks "
    "like an emoticon, such as '):', in the middle of other marks; we only where it stands alone"
)


def compare(workers: dict[str, Any], title: str, texts: list[str], folder: Path) -> dict[str, Any]:
    """Ask both which rules every document fails, ours twice: own words, and datatrove's words."""
    documents, theirs, ours = (folder / name for name in ("decide.jsonl", "theirs", "ours"))
    documents.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    order = {"job": "decide", "documents": str(documents)}
    workers["datatrove"].do(**order, output=str(theirs))
    workers["evergrow"].do(**order, output=str(ours), words=str(theirs))
    presets: dict[str, Counter[str]] = {preset: Counter() for preset in PRESETS}
    rules: dict[str, Counter[str]] = {}
    words = Counter[str]()
    classes: dict[str, Counter[str]] = {}
    for their_line, our_line in zip(records(theirs), records(ours), strict=True):
        for preset, counts in presets.items():
            count_preset(counts, preset, their_line, our_line)
        places = differences(their_line["words"], our_line["words"])
        words["theirs"] += len(their_line["words"])
        words["places"] += len(places)
        count_rules(rules, classes, their_line, our_line, places)
    return {
        "title": title,
        "documents": len(texts),
        "words": dict(words),
        "presets": {name: dict(counts) for name, counts in presets.items()},
        "rules": {name: dict(counts) for name, counts in sorted(rules.items())},
        "classes": {name: dict(counts.most_common(5)) for name, counts in classes.items()},
    }


def records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def count_preset(
    counts: Counter[str], preset: str, theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    """Whether all of a preset's rules let the document pass."""
    kept = preset in theirs["kept"]
    counts["kept"] += kept
    for words in ("own", "given"):
        passes = not any(rule.startswith(f"{preset}.") for rule in ours[words])
        counts[words] += passes == kept


def count_rules(
    rules: dict[str, Counter[str]],
    classes: dict[str, Counter[str]],
    theirs: dict[str, Any],
    ours: dict[str, Any],
    places: list[str],
) -> None:
    """Rule by rule who fails the document, and the class of every disagreement."""
    their_failed = set(theirs["failed"])
    failed = {
        words: {OURS.get(rule, rule) for rule in ours[words]} - WITHOUT_TWIN
        for words in ("own", "given")
    }
    for rule in their_failed | failed["own"] | failed["given"]:
        counts = rules.setdefault(rule, Counter())
        counts["fail"] += rule in their_failed
        for words in ("own", "given"):
            counts[words] += (rule in failed[words]) != (rule in their_failed)
        if (rule in failed["given"]) != (rule in their_failed):
            classes.setdefault(rule, Counter())[
                f"reading: {READINGS.get(rule, 'UNEXPLAINED')}"
            ] += 1
        elif (rule in failed["own"]) != (rule in their_failed):
            found = classes.setdefault(rule, Counter())
            found.update(f"words: {place}" for place in places)


def differences(theirs: list[str], ours: list[str]) -> list[str]:
    """Places where two splittings of one text differ, as ``theirs -> ours``."""
    places = []
    i = j = 0
    while i < len(theirs) and j < len(ours):
        if theirs[i] == ours[j]:
            i, j = i + 1, j + 1
            continue
        first_i, first_j = i, j
        left, right = _solid(theirs[i]), _solid(ours[j])
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left, i = left + _solid(theirs[i]), i + 1
            else:
                right, j = right + _solid(ours[j]), j + 1
        if theirs[first_i:i] != ours[first_j:j]:
            places.append(f"{' '.join(theirs[first_i:i])} -> {' '.join(ours[first_j:j])}"[:80])
    return places


def _solid(word: str) -> int:
    return sum(not c.isspace() for c in word)


def report(parity: dict[str, Any]) -> str:
    """The comparison as text."""
    number, words = parity["documents"], parity["words"]
    lines = [
        f"\ndecisions on {parity['title']}: {number} documents, {words['theirs']} words by "
        f"datatrove, {words['places']} places split otherwise",
        f"{'':34}{'theirs':>8}{'given their words':>20}{'own words':>14}",
    ]
    for preset, counts in parity["presets"].items():
        given, own = counts["given"] / number, counts["own"] / number
        verdict = "met" if given >= GOAL_GIVEN and own >= GOAL_OWN else "MISSED"
        kept = f"{counts['kept']} kept"
        lines.append(f"{preset:30}{kept:>12}{given:>19.2%} {own:>13.2%}  {verdict}")
    for rule, counts in parity["rules"].items():
        fail, given, own = counts["fail"], counts["given"], counts["own"]
        lines.append(f"  {rule:38}{fail:6} fail{given:8} differ {own:9} differ")
    for rule, counts in parity["classes"].items():
        lines += [f"  {rule}: {times} x {what}" for what, times in counts.items()]
    if any(what.startswith("words") for counts in parity["classes"].values() for what in counts):
        lines.append(f"  {WORDS}")
    return "\n".join(lines)

"""Decontamination: what is found of planted HumanEval items, and of none in clean text.

    python benchmarks/curation/contamination.py [megabytes=400] [n=13]

Every prompt and every solution is planted in the middle of a clean document: verbatim, in capitals
with collapsed white space, reformatted, and lightly paraphrased. Clean text is the standard library
and the installed packages with their docs. Shares are those of parts (a prompt, a solution) that
can be compared and of items (either part) by threshold, and with the defaults.
"""

import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, it is not there

from curation.documents import installed, megabytes
from curation.paraphrase import reformatted, renamed, with_synonyms
from evergrow.corpus.contamination import Item, Suite, contamination, load_suite, unchecked
from evergrow.corpus.contamination.overlap import LEAST_SHARE, parts
from evergrow.corpus.document import Document
from evergrow.corpus.words import split_words

THRESHOLDS: dict[str, Mapping[str, float]] = {
    str(share): {"prompt": share, "solution": share} for share in (0.05, 0.1, 0.3, 0.5, 0.8)
}
THRESHOLDS[f"{LEAST_SHARE['prompt']} and {LEAST_SHARE['solution']}"] = LEAST_SHARE
LOWEST = THRESHOLDS["0.05"]
Edit = Callable[[Item, str], str]
EDITS: dict[str, Edit] = {
    "verbatim": lambda item, text: text,
    "capitals, one line": lambda item, text: " ".join(text.upper().split()),
    "indented, CRLF": lambda item, text: text.replace("\n", "\r\n\t    "),
    "reformatted": lambda item, text: reformatted(text),
    "names changed": lambda item, text: renamed(item.prompt, text),
    "synonyms, 10 %": lambda item, text: with_synonyms(text, 0.1),
    "synonyms, 25 %": lambda item, text: with_synonyms(text, 0.25),
    "names and 10 %": lambda item, text: with_synonyms(renamed(item.prompt, text), 0.1),
}


def planted(suite: Suite, clean: Sequence[str], n: int) -> None:
    """The share found of every kind of edit, by threshold."""
    group = contamination([suite], n, LOWEST)
    compared = {(part.item, part.kind) for part in parts(suite, n)}
    print(f"{len(suite.items)} items, {len(unchecked(suite, n))} of them not checkable; ", end="")
    print(f"{len(compared)} of {2 * len(suite.items)} parts compared\n")
    print(f"{'share of an item found at least':32}", end="")
    print("".join(f"{name:>14}" for name in THRESHOLDS))
    print(f"{'':32}" + f"{'parts items':>14}" * len(THRESHOLDS))
    for name, edit in EDITS.items():
        best: dict[tuple[str, str], float] = {}
        for number, item in enumerate(suite.items):
            for kind, text in (("prompt", item.prompt), ("solution", item.solution)):
                if (item.id, kind) in compared:
                    document = _plant(edit(item, text), clean, number)
                    hits, _ = group.compute(document, split_words(""))
                    shares = [
                        hit["share"]
                        for hit in json.loads(hits)
                        if (hit["item"], hit["part"]) == (item.id, kind)
                    ]
                    best[item.id, kind] = max(shares, default=0.0)
        _print_row(name, best)


def _plant(text: str, clean: Sequence[str], number: int) -> Document:
    choose = random.Random(number)
    around = choose.choice(clean)
    place = around.find("\n", choose.randrange(len(around))) + 1
    return Document.of(f"{around[:place]}{text}\n{around[place:]}", "planted", str(number))


def _print_row(name: str, best: dict[tuple[str, str], float]) -> None:
    cells = []
    for least in THRESHOLDS.values():
        found = {part for part, share in best.items() if share >= least[part[1]]}
        items = len({item for item, _ in found}) / len({item for item, _ in best})
        cells.append(f"{len(found) / len(best):8.1%}{items:6.0%}")
    print(f"{name:32}" + "".join(cells))


def clean_text(suite: Suite, texts: Sequence[str], n: int) -> None:
    """Documents with a hit by threshold, the largest shares, and the speed."""
    group = contamination([suite], n, LOWEST)
    documents = [Document.of(text, "clean", str(i)) for i, text in enumerate(texts)]
    begun = time.process_time()
    found = [group.compute(document, split_words("")) for document in documents]
    seconds = time.process_time() - begun
    hits = [(hit["share"], i, hit) for i, (text, _) in enumerate(found) for hit in json.loads(text)]
    cells = [
        f"{len({i for share, i, hit in hits if share >= least[hit['part']]}):14}"
        for least in THRESHOLDS.values()
    ]
    print(f"{'clean documents with a hit':32}" + "".join(cells))
    print(f"\nclean: {len(texts)} distinct documents, {megabytes(texts):.1f} MB, ", end="")
    print(f"{megabytes(texts) / seconds:.0f} MB per CPU-second from text; the largest shares:")
    for share, number, hit in sorted(hits, key=lambda h: (-h[0], h[1]))[:5]:
        print(f"  {share:.3f} {hit['item']} {hit['part']}: {texts[number].strip()[:60]!r}")


def main() -> None:
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    if strange := given.keys() - {"megabytes", "n"}:
        sys.exit(f"{min(strange)}: no such argument; megabytes= and n= are known")
    n = int(given.get("n", 13))
    texts = installed(float(given.get("megabytes", 400)), max_characters=1_000_000)
    suite = load_suite("humaneval")
    planted(suite, texts[:500], n)
    clean_text(suite, texts, n)


if __name__ == "__main__":
    main()

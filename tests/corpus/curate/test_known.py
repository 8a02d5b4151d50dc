"""Columns of all shards, and ids that come twice."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from evergrow.corpus.curate.columns import load_columns
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.known import id_text
from evergrow.corpus.curate.measure import Shard, facts, signals_file
from evergrow.corpus.curate.units import write_table
from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.clusters import doubles
from evergrow.corpus.records import StoredFile
from evergrow.corpus.signals import measure_documents
from evergrow.corpus.table import write_documents
from evergrow.errors import EvergrowError


def shard_of(folder: Path, name: str, documents: list[Document]) -> Shard:
    """A shard with its facts, written by hand."""
    file = f"documents/{name}.parquet"
    (folder / "documents").mkdir(exist_ok=True)
    write_documents(folder / file, documents)
    group = facts([])
    table = measure_documents(documents, [group])["facts"]
    write_table(folder, signals_file(group.key, name), table)
    return Shard(name, "s", StoredFile.at(folder, file, len(documents)))


def test_the_second_of_an_id_is_a_double() -> None:
    ids_D2 = np.array([[5, 1], [3, 1], [5, 2], [3, 1], [3, 1]], np.uint64)
    assert doubles(ids_D2).tolist() == [False, False, False, True, True]


def test_rows_belong_to_their_shards_in_order(tmp_path: Path) -> None:
    documents = [Document.of(f"text {i}", "s", f"{i}.txt") for i in range(5)]
    shards = [shard_of(tmp_path, "a", documents[:3]), shard_of(tmp_path, "b", documents[3:])]
    config = CorpusConfig(sources=["s"], near=None)
    columns = load_columns(tmp_path, shards, {"facts": facts([]).key}, config, [])
    assert [id_text(halves) for halves in columns.ids_D2] == [d.id for d in documents]
    assert columns.starts.tolist() == [0, 3, 5]
    other = write_table(
        tmp_path,
        signals_file(facts([]).key, "a"),
        pq.read_table(tmp_path / signals_file(facts([]).key, "b")),
    )
    assert other.rows == 2
    with pytest.raises(EvergrowError, match="the signals of a belong to other documents"):
        load_columns(tmp_path, shards, {"facts": facts([]).key}, config, [])


def test_columns_are_those_of_the_documents(whole: Corpus) -> None:
    config = whole.config
    suites = ["items"]
    columns = load_columns(whole.folder, whole.shards, whole.manifest.signals, config, suites)
    assert np.count_nonzero(columns.contaminated_DS) == 1
    assert columns.bytes_D.sum() == whole.manifest.waterfall.read.bytes
    assert (columns.kept_bytes_D != columns.bytes_D).sum() == 1  # the masked address

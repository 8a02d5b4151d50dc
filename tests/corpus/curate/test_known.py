"""Ids that come twice, and parts of one document that may share theirs."""

from pathlib import Path

import numpy as np

from evergrow.corpus.curate.columns import load_columns
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.known import doubles, id_text
from evergrow.corpus.curate.measure import Shard, facts, signals_file
from evergrow.corpus.curate.units import StoredFile, write_table
from evergrow.corpus.document import Document
from evergrow.corpus.signals import measure_documents
from evergrow.corpus.table import write_documents


def shard_of(folder: Path, name: str, documents: list[Document]) -> Shard:
    """A shard with its facts, written by hand."""
    file = f"documents/{name}.parquet"
    (folder / "documents").mkdir(exist_ok=True)
    write_documents(folder / file, documents)
    group = facts([])
    table = measure_documents(documents, [group])["facts"]
    write_table(folder, signals_file(group.key, name), table)
    return Shard(name, "s", StoredFile.at(folder, file, len(documents)))


def test_a_double_is_not_a_part(tmp_path: Path) -> None:
    long = Document.of("one\ntwo\n", "s", "long.jsonl", key="long.jsonl#0")
    other = Document.of("other", "s", "x", key="same")
    again = Document.of("again", "s", "y", key="same")
    shards = [
        shard_of(tmp_path, "a", [long.edited("one\n"), other, Document.of("lone", "s", "z")]),
        shard_of(tmp_path, "b", [long.edited("two\n"), again, long.edited("two\n")]),
    ]
    config = CorpusConfig(sources=["s"], near=None)
    columns = load_columns(tmp_path, shards, {"facts": facts([]).key}, config, [])
    assert [id_text(halves) for halves in columns.ids_D2[:2]] == [long.id, other.id]
    assert doubles(tmp_path, shards, columns).tolist() == [False] * 4 + [True, True]
    assert columns.shard_of(4) == (1, 1)


def test_columns_are_those_of_the_documents(whole: Corpus) -> None:
    config = whole.config
    suites = ["items"]
    columns = load_columns(whole.folder, whole.shards, whole.manifest["signals"], config, suites)
    assert np.count_nonzero(columns.contaminated_DS) == 1
    assert columns.bytes_D.sum() == whole.manifest["waterfall"]["read"]["bytes"]
    assert (columns.kept_bytes_D != columns.bytes_D).sum() == 1  # the masked address

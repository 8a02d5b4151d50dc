import pytest

from evergrow.corpus.quarantine import Quarantine, Quarantined
from evergrow.errors import InputError


def test_one_bad_document_in_a_thousand_is_allowed_and_kept_as_a_record() -> None:
    quarantine = Quarantine("web")
    quarantine.num_documents = 999
    quarantine.add("a.jsonl", 70, "bad bytes", "mend them")
    quarantine.check()
    assert quarantine.records == [Quarantined("a.jsonl", 70, "bad bytes", "web")]


def test_past_a_thousandth_the_most_frequent_reason_is_told() -> None:
    quarantine = Quarantine("web")
    quarantine.num_documents = 1990
    quarantine.add("a.jsonl", 1, "rare reason", "rare way out")
    quarantine.add("b.jsonl", 70, "bad bytes", "mend them")
    quarantine.add("c.jsonl", 5, "bad bytes", "mend them")
    with pytest.raises(InputError) as error:
        quarantine.check()
    assert str(error.value) == (
        "sources.web: 3 of 1,993 documents cannot be read, more than 0.1 %; most often (2 times, "
        "first at 70 of b.jsonl) because of bad bytes; mend them"
    )


def test_a_hopeless_source_stops_before_its_end() -> None:
    quarantine = Quarantine("web")
    for i in range(99):
        quarantine.add("a", i, "bad bytes", "mend them")
    with pytest.raises(InputError, match="100 of 100 documents"):
        quarantine.add("a", 99, "bad bytes", "mend them")

import pytest

from evergrow.config import decode
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.errors import InputError


@pytest.mark.parametrize("day", ["2024-02-31", "2024-13-01", "0000-01-01"])
def test_a_day_that_is_none_is_refused_in_one_sentence(day: str) -> None:
    with pytest.raises(InputError) as error:
        decode(CorpusConfig, {"sources": ["web"], "as_of": day}, "corpora.web")
    assert str(error.value) == (
        f"corpora.web.as_of: no such day: {day!r}; expected one such as 2024-02-29"
    )
    assert CorpusConfig(sources=["web"], as_of="2024-02-29").as_of == "2024-02-29"

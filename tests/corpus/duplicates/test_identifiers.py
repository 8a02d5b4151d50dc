import re
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from evergrow.corpus.duplicates import identifiers as module
from evergrow.corpus.duplicates.identifiers import identifiers

LIBRARY = Path(sysconfig.get_paths()["stdlib"])


def agrees(text: str) -> int:
    """Check that equal words have equal hashes and others do not; returns how many there are."""
    words = [w.strip("_") for w in re.findall(r"\w+", text.lower()) if w.strip("_")]
    hashes = identifiers(text).tolist()
    assert len(words) == len(hashes)
    assert len(set(words)) == len(set(hashes)) == len(set(zip(words, hashes, strict=True)))
    return len(words)


@pytest.mark.parametrize(
    ("text", "num"),
    [
        ("", 0),
        ("!!! --- ???\n", 0),
        ("x", 1),
        ("_a_ a_ _ __a_b__ ___", 3),
        ("__", 0),
        ("_ \u00b4timeout\u00b4", 1),
        ("def has_close_elements(numbers: List[float], threshold=0.5) -> bool:\n x+=a[i]**2", 13),
        ("Größe, naïve “ÉCOLE” — naïve größe … x²", 6),
    ],
)
def test_as_a_pattern_finds_them(text: str, num: int) -> None:
    assert agrees(text) == num


def test_as_a_pattern_finds_them_in_the_library() -> None:
    assert sum(agrees(path.read_text()) for path in sorted(LIBRARY.glob("[a-h]*.py"))) > 100_000


def test_the_same_on_every_machine_and_in_either_encoding() -> None:
    one = identifiers("return x_1")
    assert one.tolist() == [11887687793281477458, 6879838303246556892]
    assert identifiers("“return x_1”").tolist() == one.tolist()


def test_case_layout_and_punctuation_do_not_count() -> None:
    written = identifiers("def f(a, b):\n    return 'A'+b  # don't")
    assert np.array_equal(written, identifiers('DEF F( a,b ) : return "a" + B DON\'T'))


@pytest.mark.parametrize(
    "other",
    [
        "u\u0308ber den fi\u0301n",
        "\uff55\u0308ber \uff44en f\u00edn",
        "über\u00ad d\u200ben\ufeff _fín_",
    ],
)
def test_how_unicode_spells_it_does_not_count(other: str) -> None:
    assert np.array_equal(identifiers(other), identifiers("über den fín"))


def test_scripts_without_spaces_have_an_identifier_a_character() -> None:
    found = identifiers("素数をlist_a返す。数")
    assert len(found) == 7
    assert found[1] == found[6] and found[3] == identifiers("list_a")[0]


def test_marks_belong_to_their_letters() -> None:
    assert len(identifiers("हिन्दी में")) == 2


def test_where_spans_end_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (LIBRARY / "heapq.py").read_text() + "素数を “quoted” " * 20
    whole = identifiers(text)
    monkeypatch.setattr(module, "SPAN", 50)
    assert np.array_equal(identifiers(text), whole)


def test_a_run_of_ten_megabytes_is_known_by_its_beginning() -> None:
    most = module.MAX_CHARACTERS
    one, other = identifiers("x" * 10_000_000 + " y"), identifiers("x" * most + " y")
    assert np.array_equal(one, other)
    assert identifiers("x" * (most - 1))[0] != one[0]

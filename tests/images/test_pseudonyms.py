import re
from pathlib import Path

import numpy as np
from blake3 import blake3

from evergrow.images.picture import Picture
from evergrow.images.pseudonyms import Pseudonyms, secret_of

PIXELS = np.zeros((2, 2), np.uint8)
NAMES = Pseudonyms(b"files")


def test_identifying_values_are_replaced_also_in_path_and_key() -> None:
    picture = Picture(
        PIXELS, "films", "in/DOE1234/film.dcm", "in/DOE1234/film.dcm",
        patient="DOE1234", study="1.2.3", site="St Elsewhere", date="2020-01-31",
        names=("DOE^JANE", "JANE"),
    )  # fmt: skip
    hidden = NAMES.hide(picture)
    own = NAMES.name("DOE1234")
    assert (hidden.patient, hidden.path, hidden.key) == (own, *[f"in/{own}/film.dcm"] * 2)
    assert hidden.study == NAMES.name("1.2.3") and hidden.site == NAMES.name("St Elsewhere")
    assert (hidden.date, hidden.names, hidden.plain) == ("2020", (), f"in/{own}/film.dcm")
    assert len(own) == 12 and own != Pseudonyms(b"other files").name("DOE1234")


def test_case_punctuation_and_longer_words_hide_nothing_from_it() -> None:
    for path in ("doe-1234.dcm", "CRdoe1234x.dcm", "DOE_1234/1.dcm", "a/Doe 1234.dcm"):
        assert "1234" not in NAMES.hide_in(path, ["DOE1234", "DOE 1234"])
    assert NAMES.hide_in("DOE12.dcm", ["DOE-12"]) == f"{NAMES.name('DOE-12')}.dcm"


def test_a_short_value_is_hidden_as_a_word_of_its_own() -> None:
    short = NAMES.name("7")
    assert NAMES.hide_in("7/7_a/17.png", ["7"]) == f"{short}/{short}_a/17.png"


def test_the_longest_value_is_hidden_whole() -> None:
    assert NAMES.hide_in("DOE12345", ["DOE1234", "DOE12345"]) == NAMES.name("DOE12345")


def test_what_identified_another_picture_is_hidden_too() -> None:
    names = Pseudonyms(b"files")
    names.hide(Picture(PIXELS, "s", "a", "a", patient="DOE1234"))
    assert names.hide_known("set_doe1234.parquet") == f"set_{names.name('DOE1234')}.parquet"


def test_a_file_that_nobody_knows_keeps_only_its_suffix() -> None:
    shown = [NAMES.of_file(f"in/{name}") for name in ("DOE1234.DCM", "doe1234.dcm", "IM.1.2.DOE")]
    assert [re.sub("^[0-9a-f]{12}", "", name) for name in shown] == [".dcm", ".dcm", ""]
    assert len(set(shown)) == 3  # files that differ in case alone are two


def test_a_date_without_a_patient_stays() -> None:
    picture = Picture(PIXELS, "films", "a.png", "a.png", date="2020-01-31")
    assert NAMES.hide(picture).date == "2020-01-31"


def test_who_has_the_checksums_cannot_make_the_key(tmp_path: Path) -> None:
    """The manifest lists them; the key must not follow from what is written."""
    path = tmp_path / "a.dcm"
    path.write_bytes(b"film")
    known = [blake3(b"film").digest(), blake3(b"film").hexdigest().encode(), b"film"]
    assert secret_of([path]) not in [x for k in known for x in (k, blake3(k).digest())]
    before = secret_of([path])
    path.write_bytes(b"other film")
    assert secret_of([path]) != before

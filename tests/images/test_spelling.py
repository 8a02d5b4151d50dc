import unicodedata

import pytest

from evergrow.images.picture import same_id
from evergrow.images.pseudonyms import Pseudonyms

NAMES = Pseudonyms(b"files")


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("Иванов", "lab/Иванов/1.png"),
        ("Пётр", "lab/Петр_2.png"),
        ("Müller", "in/MÜLLER-1.png"),
        ("Müller", "in/Mueller_1.png"),
        ("Muller", "in/Müller_1.png"),
        ("Bjørn", "in/bjorn/1.png"),
        ("Nguyễn", "in/nguyen_1.png"),
        ("Straße", "in/STRASSE.png"),
        ("山田", "in/山田太郎_1.png"),
        ("やまだ", "in/やまだ1.png"),
        ("김철수", "in/김철수_1.png"),
        ("हरीश", "in/हरीश_1.png"),
        ("فاطمة", "in/فاطمة-1.png"),
        ("Ιωάννης", "in/ΙΩΑΝΝΗΣ.png"),
        ("DOE1234", "in/\uff24\uff2f\uff25\uff11\uff12\uff13\uff14.png"),
        ("DOE1234", "in/doe_1234.png"),
        ("19700131", "in/1970-01-31/1.png"),
        ("1970-01-31", "in/31.01.1970.png"),
    ],
)
def test_a_value_is_hidden_in_every_script_and_form(value: str, path: str, form: str) -> None:
    hidden = NAMES.hide_in(unicodedata.normalize(form, path), [value])
    assert NAMES.name(value) in hidden
    rest = hidden.replace(NAMES.name(value), "")
    assert rest.isascii() or rest == "in/太郎_1.png"
    assert rest.startswith(("in/", "lab/")) and rest.endswith("png")
    other = unicodedata.normalize("NFD", value)
    assert NAMES.hide_in(path, [other]).count(NAMES.name(value)) == 1


def test_a_short_name_of_letters_must_stand_alone() -> None:
    assert NAMES.hide_in("in/Likely.png", ["Li"]) == "in/Likely.png"
    assert NAMES.name("Li") in NAMES.hide_in("in/li_2.png", ["Li"])


def test_values_of_several_words_are_known_in_other_paths() -> None:
    names = Pseudonyms(b"files")
    names.know(["NO-5512", "Иванов^Пётр", "AB"])
    assert names.hide_known("x/no5512/1.png") == f"x/{names.name('NO-5512')}/1.png"
    assert names.hide_known("x/иванов петр/ab.png") == f"x/{names.name('Иванов^Пётр')}/ab.png"
    assert names.knows("ИВАНОВ ПЕТР") and not names.knows("Иванов")


def test_ids_are_the_same_but_for_case_blanks_and_form() -> None:
    for one, other in (("KH1a", " kh1A"), ("RU 77", "ru77"), ("é1", "e\u03011"), ("\uff17", "7")):
        assert same_id(one) == same_id(other)
        assert NAMES.name(one) == NAMES.name(other)
    assert same_id("A-1") != same_id("A1")

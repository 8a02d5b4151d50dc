import numpy as np

from evergrow.images.picture import Picture, Pseudonyms

PIXELS = np.zeros((2, 2), np.uint8)


def test_identifying_values_are_replaced_also_in_path_and_key() -> None:
    picture = Picture(
        PIXELS, "films", "in/DOE1234/DOE12345.dcm", "in/DOE1234/DOE12345.dcm",
        patient="DOE1234", study="1.2.3", site="St Elsewhere", date="2020-01-31",
    )  # fmt: skip
    names = Pseudonyms(b"files")
    hidden = names.hide(picture)
    own = names.name("DOE1234")
    assert (hidden.patient, hidden.path) == (own, f"in/{own}/DOE12345.dcm")
    assert hidden.study == names.name("1.2.3") and hidden.site == names.name("St Elsewhere")
    assert hidden.date == "2020"
    assert len(own) == 12 and own != Pseudonyms(b"other files").name("DOE1234")


def test_a_date_without_a_patient_stays() -> None:
    picture = Picture(PIXELS, "films", "a.png", "a.png", date="2020-01-31")
    assert Pseudonyms(b"").hide(picture) == picture


def test_the_content_hash_knows_shape_and_type() -> None:
    flat = Picture(np.zeros((1, 4), np.uint8), "s", "a", "a")
    assert flat.content_hash != Picture(np.zeros((2, 2), np.uint8), "s", "a", "a").content_hash
    assert flat.content_hash != Picture(np.zeros((1, 2), np.uint16), "s", "a", "a").content_hash
    assert flat.content_hash == Picture(np.zeros((1, 4), np.uint8), "t", "b", "b").content_hash


def test_the_owner_is_the_patient_or_the_picture_itself() -> None:
    picture = Picture(PIXELS, "s", "a", "a")
    assert picture.owner == picture.content_hash
    assert Picture(PIXELS, "s", "a", "a", patient="p").owner == "p"

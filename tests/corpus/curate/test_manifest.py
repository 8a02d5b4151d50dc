"""What a corpus says of itself: written from records, read into them, the same bytes again."""

import json

import pytest
from pydantic import ValidationError

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.manifest import parse_manifest
from evergrow.corpus.records import Card, KeptFile, Manifest, ShardFile, StoredFile
from evergrow.disk import sealed
from evergrow.errors import InputError


@pytest.mark.parametrize(("name", "kind"), [("corpus.json", Manifest), ("card.json", Card)])
def test_a_file_read_and_written_again_has_the_same_bytes(
    name: str, kind: type[Manifest | Card], whole: Corpus
) -> None:
    text = (whole.folder / name).read_text(encoding="utf-8")
    told = kind.model_validate_json(text).model_dump()
    told = sealed(told) if kind is Manifest else told  # a card's hash stands in the manifest
    assert json.dumps(told, indent=1, ensure_ascii=False) + "\n" == text


def test_files_of_shards_say_first_whose_they_are() -> None:
    assert list(ShardFile.model_fields) == ["shard", "source", *StoredFile.model_fields]
    assert list(KeptFile.model_fields) == ["source", *StoredFile.model_fields]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"waterfall": None}, "damaged at waterfall: Input should be a valid dictionary"),
        ({"signals": {"facts": 7}}, "damaged at signals.facts: Input should be a valid string"),
        ({"documents": [{}]}, "damaged at documents.0.shard: Field required"),
    ],
)
def test_a_damaged_field_is_named_on_one_line(changes: dict, said: str, whole: Corpus) -> None:
    path = whole.folder / "corpus.json"
    data = json.loads(path.read_text(encoding="utf-8")) | changes
    with pytest.raises(InputError) as caught:
        parse_manifest(json.dumps(sealed(data)).encode(), path)
    assert str(caught.value).startswith(f"{path}: {said}")
    assert str(caught.value).endswith("; run its 'evergrow curate' again, which writes it anew")
    assert "\n" not in str(caught.value)


def test_another_number_is_found(whole: Corpus) -> None:
    path = whole.folder / "corpus.json"
    text = path.read_text(encoding="utf-8")
    changed = text.replace('"pieces": 0', '"pieces": 1', 1)
    assert changed != text
    with pytest.raises(InputError, match=r"corpus.json: damaged \(it is not what was written\)"):
        parse_manifest(changed.encode(), path)


def test_what_is_not_known_is_passed_over_and_nothing_can_be_changed(whole: Corpus) -> None:
    data = whole.manifest.model_dump() | {"weather": "fine"}
    again = parse_manifest(json.dumps(data).encode(), whole.folder)
    assert again == whole.manifest
    with pytest.raises(ValidationError, match="frozen"):
        again.name = "other"  # pyright: ignore[reportAttributeAccessIssue]

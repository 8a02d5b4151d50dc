"""Natural languages, told by the model that comes with the package."""

import pytest

from evergrow.corpus.document import Document
from evergrow.corpus.signals.language import language
from evergrow.corpus.words import split_words


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The boats lay in the harbour until the ice had gone and spring came.", "en"),
        ("Die Boote lagen im Hafen, bis das Eis gegangen war und der Frühling kam.", "de"),
        ("Les bateaux restèrent au port jusqu'à la fonte des glaces au printemps.", "fr"),
        ("春が来て氷が溶けるまで、船は港に停泊していた。", "ja"),
    ],
)
def test_languages_are_told_apart(text: str, code: str) -> None:
    found, probability = language(Document.of(text, "s", "p"), split_words(text))
    assert found == code
    assert 0.65 < probability <= 1


@pytest.mark.parametrize("text", ["", "12 34 + 5"])
def test_no_letters_no_language(text: str) -> None:
    assert language(Document.of(text, "s", "p"), split_words(text)) == ("und", 0.0)


def test_only_the_beginning_is_looked_at() -> None:
    begin = "The boats lay in the harbour until spring came. " * 50
    text = begin + "Die Boote lagen im Hafen und warteten. " * 500
    assert language(Document.of(text, "s", "p"), split_words(text))[0] == "en"

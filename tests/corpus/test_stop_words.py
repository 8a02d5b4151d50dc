"""Stop words of every language that is told, but those that are warned of."""

# ruff: noqa: RUF001 -- every script
import json
from pathlib import Path

import pytest
from corpus.curate.texts import make

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.stop_words import GOPHER, STOP_WORDS
from evergrow.corpus.words import split_words

TEXTS = {
    "ar": "ذهبنا إلى الحديقة في الصباح ورأينا الكثير من الزهور التي كانت على ضفة النهر مع الأصدقاء",
    "de": "Die Boote lagen im Hafen, bis das Eis gegangen war und der Frühling mit dem Wind kam",
    "en": "The boats lay in the harbour until the ice had gone and that was the end of winter",
    "hi": "हम सुबह बगीचे में गए और नदी के किनारे बहुत से फूल देखे जो कि बहुत सुंदर थे",
    "ja": "春が来て氷が溶けるまで、船は港に停泊していた。今日は天気がいいので、公園へ行きました。",
    "ko": "봄이 와서 얼음이 녹을 때까지 배는 항구에 있었다. 오늘은 공원에 갈 수 있는 날이다",
    "ru": "Лодки стояли в гавани, пока не сошёл лёд и не пришла весна, и это было на реке",
    "th": "วันนี้อากาศดีมาก เราไปเดินเล่นในสวนสาธารณะและเห็นดอกไม้ที่สวยงามของเมือง",
    "tr": "Tekneler buzlar eriyene kadar limanda kaldı ve bahar ile bir rüzgar geldi, bu çok güzel",
    "zh": "春天来了，冰化了，船还停在港口。今天天气很好，我们去公园散步，看到了许多花和树。",
}


def long(language: str) -> str:
    """Sixty different sentences: the text, each time with other numbers among its words."""
    words = split_words(TEXTS[language]).words
    glue = "" if language in ("ja", "th", "zh") else " "
    lines = []
    for number in range(12):
        turned = words[number % len(words) :] + words[: number % len(words)]
        lines.append(glue.join(turned) + ("。" if not glue else "."))
    return "\n".join(lines)


@pytest.mark.parametrize("language", TEXTS)
def test_a_text_has_stop_words_of_its_language(language: str) -> None:
    words = split_words(TEXTS[language])
    assert words.language[0] == language
    assert sum(count > 0 for count in words.counts(STOP_WORDS[language])) >= 2
    assert STOP_WORDS["en"] == GOPHER


def made_of(tmp_path: Path, texts: dict[str, str]) -> Corpus:
    rows = [json.dumps({"id": n, "text": text}, ensure_ascii=False) for n, text in texts.items()]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")
    sources = {"rows": SourceConfig(files=["rows.jsonl"], id_field="id")}
    off = [f"gopher.{n}" for n in ("top_2_gram", "top_3_gram", "top_4_gram")]
    off += [f"gopher.duplicate_{n}_grams" for n in range(5, 11)]
    settings = {"sources": ["rows"], "policy": {"presets": ["gopher"], "off": off}}
    return make(tmp_path / "web", tmp_path, of=sources, decontaminate=None, near=None, **settings)


def test_gopher_keeps_prose_in_every_language(tmp_path: Path) -> None:
    made = made_of(tmp_path, {language: long(language) for language in TEXTS})
    assert {document.key for document in made.documents()} == TEXTS.keys()
    assert made.manifest.warnings == []


def test_what_no_list_is_there_for_is_kept_and_warned_of(tmp_path: Path) -> None:
    khmer = "ភាសាខ្មែរគឺជាភាសាផ្លូវការរបស់ប្រទេសកម្ពុជា ហើយមានអ្នកនិយាយច្រើន " * 3
    made = made_of(tmp_path, {"km": khmer, "en": long("en")})
    assert [document.key for document in made.documents()] == ["km", "en"]
    assert made.manifest.warnings == [
        "no stop words are listed for km (documents: 1); rules about them keep these texts",
        "words of km (documents: 1) cannot be told apart; rules about their number and length keep "
        "these texts",
    ]

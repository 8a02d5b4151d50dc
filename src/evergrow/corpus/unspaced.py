"""Words of scripts that put no spaces between them: Chinese, Japanese and Thai, by BudouX.

Its small models come with the package. A run with kana is Japanese; one of ideographs alone is
Chinese, traditional where a common character is written so. Lao, Khmer and Burmese have no model
there: what stands between their spaces counts as one word.
"""

import json
import re
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files

SPLITTER = {"budoux": version("budoux")}  # decides the words, so it is part of signals' keys
_HAN = r"\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = r"\u3041-\u309f\u30a1-\u30ff\uff66-\uff9f"
_THAI = r"\u0e01-\u0e3a\u0e40-\u0e4e"
UNSPACED = re.compile(rf"[{_HAN}{_KANA}{_THAI}]")
_RUNS = re.compile(rf"[{_HAN}{_KANA}]+|[{_THAI}]+|[^{_HAN}{_KANA}{_THAI}]+")
_HAS_KANA, _IS_THAI = re.compile(rf"[{_KANA}]"), re.compile(rf"[{_THAI}]")
_TRADITIONAL = re.compile("[們這個來時說會對學經過還後樣與為於產點體關種問題開長門見車東馬國]")


def runs(chunk: str) -> list[str]:
    """What stands in one such script each, and what stands between them."""
    return _RUNS.findall(chunk)


def split_run(run: str) -> list[str]:
    """The words of a run of one script; together they are the run."""
    if _IS_THAI.match(run):
        return _parser("th").parse(run)
    if _HAS_KANA.search(run):
        return _parser("ja_word").parse(run)
    return _parser("zh-hant" if _TRADITIONAL.search(run) else "zh-hans").parse(run)


@lru_cache(None)
def _parser(model: str):
    from budoux import Parser  # pyright: ignore[reportMissingImports]

    text = (files("budoux") / "models" / f"{model}.json").read_text(encoding="utf-8")
    return Parser(json.loads(text))

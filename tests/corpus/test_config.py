import pytest

from evergrow.config import decode
from evergrow.corpus.config import VERSION, HeldOutConfig, SourceConfig
from evergrow.errors import InputError


def refusal(data: dict[str, object]) -> str:
    with pytest.raises(InputError) as error:
        decode(SourceConfig, data, "sources.web")
    return str(error.value)


def test_a_source_is_files_or_trees_or_installed() -> None:
    rule = "sources.web: give one of files (globs), trees (folders of code) or installed (english, "
    rule += "python, cpp), got "
    assert refusal({}) == rule + "none"
    assert refusal({"files": ["a.txt"], "installed": "cpp"}) == rule + "files and installed"
    assert refusal({"files": ["a.txt"], "trees": ["a"]}) == rule + "files and trees"


def test_settings_that_would_not_be_used_are_refused() -> None:
    rows = "belong to files of rows (jsonl, json, csv, tsv, parquet, arrow); remove them, got "
    for data, told in (
        ({"installed": "cpp", "text_field": "body"}, f"text_field {rows}installed"),
        ({"trees": ["a"], "format": "text"}, f"format {rows}trees"),
        (
            {"files": ["a"], "format": "html", "date_field": "day", "id_field": "i"},
            f"id_field and date_field {rows}format html",
        ),
    ):
        assert refusal(data) == f"sources.web: {told}"


def test_a_resolved_source_decodes_again() -> None:
    for source in (SourceConfig(installed="python"), SourceConfig(files=["a"], max_bytes=10)):
        assert SourceConfig.model_validate(source.model_dump(mode="json")) == source


def test_counts_have_suffixes_and_limits_do_not_change_the_data() -> None:
    source = decode(
        SourceConfig, {"files": ["a"], "max_bytes": "2M", "max_epochs": 9, "max_bad": 0.1}, ""
    )
    assert source.max_bytes == 2_000_000
    assert (
        source.content_settings == SourceConfig(files=["b"], max_bytes=2_000_000).content_settings
    )
    assert source.content_settings["version"] == VERSION
    assert HeldOutConfig() == HeldOutConfig(fraction=0.02, tokens=20_000)

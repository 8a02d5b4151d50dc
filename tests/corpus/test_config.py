import pytest

from evergrow.config import decode
from evergrow.corpus.config import HeldOutConfig, SourceConfig
from evergrow.errors import InputError


def refusal(data: dict[str, object]) -> str:
    with pytest.raises(InputError) as error:
        decode(SourceConfig, data, "sources.web")
    return str(error.value)


def test_a_source_is_files_or_installed() -> None:
    rule = "sources.web: give either files (globs) or installed (english, python, cpp), got "
    assert refusal({}) == rule + "neither"
    assert refusal({"files": ["a.txt"], "installed": "cpp"}) == rule + "both"


def test_settings_that_would_not_be_used_are_refused() -> None:
    assert refusal({"installed": "cpp", "text_field": "body"}).startswith(
        "sources.web: format, text_field and date_field belong to files; remove them"
    )
    assert "text files carry no date_field" in refusal(
        {"files": ["a.txt"], "format": "text", "date_field": "day"}
    )


def test_a_resolved_source_decodes_again() -> None:
    for source in (SourceConfig(installed="python"), SourceConfig(files=["a"], max_bytes=10)):
        assert SourceConfig.model_validate(source.model_dump(mode="json")) == source


def test_counts_have_suffixes_and_the_epoch_limit_does_not_change_the_data() -> None:
    source = decode(SourceConfig, {"files": ["a"], "max_bytes": "2M", "max_epochs": 9}, "")
    assert source.max_bytes == 2_000_000
    assert (
        source.content_settings == SourceConfig(files=["b"], max_bytes=2_000_000).content_settings
    )
    assert HeldOutConfig() == HeldOutConfig(fraction=0.02, tokens=20_000)

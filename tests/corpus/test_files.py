from pathlib import Path

import pytest

from evergrow.corpus.files import SourceFile, match_files
from evergrow.disk import checksum
from evergrow.errors import InputError


def refusal(patterns: list[str], base: Path) -> str:
    with pytest.raises(InputError) as error:
        match_files(patterns, base, "web")
    return str(error.value)


def test_globs_are_relative_or_absolute_and_give_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("a/one.txt", "a/b/two.txt", "a/three.md"):
        (tmp_path / name).write_text("x")
    found = match_files(["a/**/*.txt", f"{tmp_path}/a/one.*", "a/three.md"], tmp_path, "web")
    assert [p.relative_to(tmp_path).as_posix() for p in found] == [
        "a/b/two.txt",
        "a/one.txt",
        "a/three.md",
    ]


def test_a_name_with_brackets_is_found_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes [old].txt").write_text("x")
    assert match_files(["notes [old].txt"], tmp_path, "web") == [tmp_path / "notes [old].txt"]


def test_missing_file(tmp_path: Path) -> None:
    assert refusal(["no/*.txt"], tmp_path) == (
        f"sources.web.files: 'no/*.txt' matches no file under {tmp_path}; check the path"
    )
    assert "'gone.txt' matches no file" in refusal(["gone.txt"], tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert refusal(["empty.txt"], tmp_path) == (
        "sources.web.files: 'empty.txt' matches only empty files; remove it or fill them"
    )
    (tmp_path / "full.txt").write_text("x")
    assert match_files(["*.txt"], tmp_path, "web") == [tmp_path / "full.txt"]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    assert refusal(["texts"], tmp_path) == (
        "sources.web.files: 'texts' is a folder; name its files, for example texts/**/*.txt"
    )


def test_a_record_is_relative_to_the_base_when_inside_it(tmp_path: Path) -> None:
    path = tmp_path / "recipe/a.txt"
    path.parent.mkdir()
    path.write_text("hello")
    expected = {"path": "a.txt", "bytes": 5, "blake3": checksum(path)}
    assert SourceFile.at(path, path.parent).record() == expected
    assert SourceFile.at(path, tmp_path / "elsewhere").name == path.as_posix()

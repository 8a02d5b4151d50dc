import os
from itertools import pairwise
from pathlib import Path

import pytest

from evergrow.corpus.files import (
    NAMELESS,
    OUTSIDE,
    SourceFile,
    file_groups,
    in_order,
    inside,
    match_files,
)
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
    patterns = ["a/**/*.txt", f"{tmp_path}/a/one.*", "a/three.md", "a/../a/one.txt", "a/../a/*.md"]
    found = match_files(patterns, tmp_path, "web")
    assert set(found.values()) == {None}
    assert [p.relative_to(tmp_path).as_posix() for p in found] == [
        "a/b/two.txt",
        "a/one.txt",
        "a/three.md",
    ]


def test_a_name_with_brackets_is_found_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes [old].txt").write_text("x")
    assert match_files(["notes [old].txt"], tmp_path, "web") == {tmp_path / "notes [old].txt": None}


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
    assert match_files(["*.txt"], tmp_path, "web") == {tmp_path / "full.txt": None}


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


def test_dots_that_climb_are_refused_after_a_wildcard_only(tmp_path: Path) -> None:
    for name in ("here/a/x.txt", "there/y.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x")
    assert refusal(["*/../../there/*.txt"], tmp_path / "here") == (
        "sources.web.files: '*/../../there/*.txt' climbs with '..' after a wildcard; name the "
        "folder itself"
    )
    found = match_files(["../there/*.txt"], tmp_path / "here", "web")
    assert [Path(path).name for path in found] == ["y.txt"]


def test_a_recorded_name_stays_inside(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b.py") == tmp_path / "a/b.py"
    for name in ("../x", "a/../../x", "/etc/passwd"):
        with pytest.raises(InputError) as error:
            inside(tmp_path, name)
        assert str(error.value) == (
            f"{name!r} leads out of {tmp_path}; the record that names it is not to trust"
        )


def test_a_name_that_is_not_utf8_is_a_fault(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    path.write_text("x")
    file = SourceFile.at(path, tmp_path)
    assert (file.fault, file.record()) == (
        NAMELESS,
        {"path": "caf\\xe9.txt", "bytes": 0, "blake3": ""},
    )


def test_links_out_of_the_folder_before_a_wildcard_are_a_fault(tmp_path: Path) -> None:
    for name in ("glob/a.txt", "glob/sub/b.txt", "out/secret.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "glob/inside.txt").symlink_to("sub/b.txt")
    (tmp_path / "glob/link.txt").symlink_to("../out/secret.txt")
    (tmp_path / "glob/folder").symlink_to("../out")

    def faults(*patterns: str) -> dict[str, object]:
        found = match_files(patterns, tmp_path, "web")
        return {Path(path).relative_to(tmp_path).as_posix(): f for path, f in found.items()}

    assert faults("glob/*.txt") == {
        "glob/a.txt": None,
        "glob/inside.txt": None,
        "glob/link.txt": OUTSIDE,
    }
    assert faults("glob/*/*.txt") == {"glob/folder/secret.txt": OUTSIDE, "glob/sub/b.txt": None}
    assert set(faults("*/*.txt", "*/*/*.txt").values()) == {None}
    assert faults("glob/link.txt") == {"glob/link.txt": None}
    for climbing in ("glob/link.txt", "out/../glob/link.txt"):
        assert faults("glob/l*.txt", climbing) == {"glob/link.txt": None}


def test_groups_are_bounded_and_hang_on_names_and_sizes_only() -> None:
    sizes = [5, 30, 1, 1, 1, 9, 10, 4, 6, 0, 25]
    files = [SourceFile(Path(f"{i}"), f"{i}", size, "") for i, size in enumerate(sizes)]
    groups = file_groups(files, 10)
    assert [f for group in groups for f in group] == in_order(files)
    assert all(sum(f.num_bytes for f in g) <= 10 or len(g) == 1 for g in groups)
    neighbours = pairwise(groups)
    assert all(sum(f.num_bytes for f in a) + b[0].num_bytes > 10 for a, b in neighbours)
    assert file_groups(reversed(files), 10) == groups
    assert file_groups(files, None) == [in_order(files)]
    assert file_groups([], None) == file_groups([], 10) == []


def test_the_cache_of_hugging_face_consists_of_links(tmp_path: Path) -> None:
    for folder in ("blobs", "snapshots/0a1b/data"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    (tmp_path / "set/blobs/c0ffee").write_text("x")
    (tmp_path / "elsewhere").write_text("x")
    data = tmp_path / "set/snapshots/0a1b/data"
    (data / "a.txt").symlink_to("../../../blobs/c0ffee")
    (data / "b.txt").symlink_to(tmp_path / "elsewhere")
    for pattern in ("set/snapshots/0a1b/data/*.txt", "set/snapshots/*/data/*.txt"):
        found = match_files([pattern], tmp_path, "web")
        assert list(found.values()) == [None, OUTSIDE]

from pathlib import Path

import pytest

from evergrow.corpus.globs import HIDDEN, OUTSIDE, match_files
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
    found = match_files(patterns, tmp_path, "web").files
    assert set(found.values()) == {None}
    assert [p.relative_to(tmp_path).as_posix() for p in found] == [
        "a/b/two.txt",
        "a/one.txt",
        "a/three.md",
    ]


def test_a_name_with_brackets_is_found_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes [old].txt").write_text("x")
    assert match_files(["notes [old].txt"], tmp_path, "web").files == {
        tmp_path / "notes [old].txt": None
    }


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
    assert match_files(["*.txt"], tmp_path, "web").files == {tmp_path / "full.txt": None}


def test_a_folder_stands_for_every_file_below_it_that_is_not_hidden(tmp_path: Path) -> None:
    for name in ("notes [old]/a.md", "notes [old]/deep/b", "notes [old]/.trash/c.md", "d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "notes [old]/empty.py").touch()
    (tmp_path / "notes [old]/link.txt").symlink_to(tmp_path / "d.txt")
    found = match_files(["notes [old]/"], tmp_path, "web")
    names = {Path(p).relative_to(tmp_path).as_posix(): fault for p, fault in found.files.items()}
    assert names == {
        "notes [old]/a.md": None,
        "notes [old]/deep/b": None,
        "notes [old]/link.txt": OUTSIDE,
    }
    assert found.skipped == {HIDDEN: 1}


def test_a_folder_without_files(tmp_path: Path) -> None:
    (tmp_path / "texts/deeper").mkdir(parents=True)
    assert refusal(["texts"], tmp_path).startswith("sources.web.files: 'texts' matches no file")


def test_dots_that_climb_are_refused_after_a_wildcard_only(tmp_path: Path) -> None:
    for name in ("here/a/x.txt", "there/y.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x")
    assert refusal(["*/../../there/*.txt"], tmp_path / "here") == (
        "sources.web.files: '*/../../there/*.txt' climbs with '..' after a wildcard; name the "
        "folder itself"
    )
    found = match_files(["../there/*.txt"], tmp_path / "here", "web").files
    assert [Path(path).name for path in found] == ["y.txt"]


def test_links_out_of_the_folder_before_a_wildcard_are_a_fault(tmp_path: Path) -> None:
    for name in ("glob/a.txt", "glob/sub/b.txt", "out/secret.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "glob/inside.txt").symlink_to("sub/b.txt")
    (tmp_path / "glob/link.txt").symlink_to("../out/secret.txt")
    (tmp_path / "glob/folder").symlink_to("../out")

    def faults(*patterns: str) -> dict[str, object]:
        found = match_files(patterns, tmp_path, "web").files
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


def test_the_cache_of_hugging_face_consists_of_links(tmp_path: Path) -> None:
    for folder in ("blobs", "snapshots/0a1b/data"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    (tmp_path / "set/blobs/c0ffee").write_text("x")
    (tmp_path / "elsewhere").write_text("x")
    data = tmp_path / "set/snapshots/0a1b/data"
    (data / "a.txt").symlink_to("../../../blobs/c0ffee")
    (data / "b.txt").symlink_to(tmp_path / "elsewhere")
    for pattern in ("set/snapshots/0a1b/data/*.txt", "set/snapshots/*/data/*.txt"):
        found = match_files([pattern], tmp_path, "web").files
        assert list(found.values()) == [None, OUTSIDE]


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


HIDING = ["a.md", "sub/.draft.md", ".trash/b.md", "sub/.git/c.md"]


@pytest.mark.parametrize(
    ("patterns", "seen", "num_hidden"),
    [
        (["notes/**/*.md"], ["a.md"], 3),
        (["notes/*/.draft.md"], ["sub/.draft.md"], 0),
        (["notes/.trash/*.md"], [".trash/b.md"], 0),
        (["notes/**/.git/*.md"], ["sub/.git/c.md"], 0),
        (["notes/**/.*.md"], ["sub/.draft.md"], 0),
        (["notes/sub/.draft.md"], ["sub/.draft.md"], 0),
        (["notes/**/*.md", "notes/.trash/b.md"], [".trash/b.md", "a.md"], 2),
    ],
)
def test_what_is_hidden_comes_in_by_its_dotted_name_only(
    tmp_path: Path, patterns: list[str], seen: list[str], num_hidden: int
) -> None:
    base = tmp_path / ".cache"  # a dot above the pattern hides nothing
    write(base / "notes", *HIDING)
    found = match_files(patterns, base, "web")
    assert [str(Path(p).relative_to(base / "notes")) for p in found.files] == seen
    assert found.skipped == ({HIDDEN: num_hidden} if num_hidden else {})


def test_a_pattern_that_finds_hidden_files_only_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ".a.md")
    assert refusal(["*.md"], tmp_path) == (
        "sources.web.files: '*.md' matches only hidden files, or files in hidden folders; write "
        "their dotted names into it"
    )

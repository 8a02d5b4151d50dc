"""A file or folder is whole or not there, also after a kill or on a full disk."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from evergrow import disk
from evergrow.disk import (
    append_file,
    checksum,
    checksum_once,
    new_file,
    new_folder,
    read_object,
    remove_unfinished,
    sealed,
    write_file,
)
from evergrow.errors import EvergrowError, InputError

FULL = (
    "no space left while writing; nothing was replaced and nothing half-written is left, "
    "so free some space and run the same command again"
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_write_file_replaces_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_file(path, "first")
    with path.open() as old:
        write_file(path, "zwölf")
        assert old.read() == "first"  # a reader keeps what it opened
    assert path.read_bytes() == "zwölf".encode()
    write_file(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert names(path.parent) == ["a.txt"]


def test_write_file_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_file(path, "old")

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output error"):
        write_file(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_new_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "below" / "table"
    with new_file(path) as temporary:
        temporary.write_bytes(b"half")
        assert not path.exists()
    assert path.read_bytes() == b"half"
    with pytest.raises(KeyError), new_file(path) as temporary:
        temporary.write_bytes(b"broken")
        raise KeyError
    assert [p.name for p in path.parent.iterdir()] == ["table"]
    assert path.read_bytes() == b"half"


def test_append_file_adds_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    append_file(path, "eins\n")
    append_file(path, "zwölf\n")
    assert path.read_bytes() == "eins\nzwölf\n".encode()


def test_new_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run"
    with new_folder(path) as unfinished:
        (unfinished / "sub").mkdir()
        (unfinished / "sub" / "a").write_text("1")
        assert not path.exists()
    assert (path / "sub" / "a").read_text() == "1"
    with new_folder(path) as unfinished:
        (unfinished / "b").write_text("2")
        assert names(path) == ["sub"]
    assert names(path) == ["b"]  # replaced, not merged
    assert names(path.parent) == ["run"]


def test_new_folder_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with new_folder(path) as unfinished:
        (unfinished / "a").write_text("old")
    with pytest.raises(RuntimeError, match="half way"), new_folder(path) as unfinished:
        (unfinished / "a").write_text("new")
        raise RuntimeError("half way")
    assert (path / "a").read_text() == "old"
    assert names(tmp_path) == ["run"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from evergrow.disk import new_folder
        with new_folder(Path(sys.argv[1])) as unfinished:
            (unfinished / "half").write_text("x")
            os.kill(os.getpid(), 9)
    """
    path = tmp_path / "run"
    other = tmp_path / ".runner.writing-1"
    other.mkdir()
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(path)])
    assert done.returncode == -9
    assert [name.rpartition("-")[0] for name in names(tmp_path)] == [
        ".run.writing",
        ".runner.writing",
    ]
    with new_folder(path) as unfinished:
        (unfinished / "a").write_text("whole")
    assert names(path) == ["a"]
    assert names(tmp_path) == [".runner.writing-1", "run"]  # another folder's is not touched


def test_a_folder_moved_aside_by_a_killed_process_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "run"
    aside = tmp_path / ".run.replaced-7"
    aside.mkdir()
    (aside / "a").write_text("old")
    remove_unfinished(path)
    assert (path / "a").read_text() == "old"
    aside.mkdir()
    remove_unfinished(path)  # the replacement did arrive
    assert names(tmp_path) == ["run"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        OSError(27, "File too large"),
        OSError(122, "Disk quota exceeded"),
        OSError("Error writing bytes. Detail: [errno 28] No space left on device"),
    ],
)
def test_a_full_disk_is_explained(tmp_path: Path, error: OSError) -> None:
    path = tmp_path / "run"
    with pytest.raises(EvergrowError) as caught, new_folder(path) as unfinished:
        (unfinished / "a").write_text("x")
        raise error
    assert str(caught.value) == f"{path}: {FULL}"
    assert names(tmp_path) == []


def test_other_errors_are_not_explained_away(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), new_folder(tmp_path / "run"):
        raise PermissionError(13, "Permission denied")


def test_a_real_limit_leaves_nothing_half_written(tmp_path: Path) -> None:
    code = """
        import resource, sys
        from pathlib import Path
        import torch
        from evergrow.disk import append_file, new_folder, write_file
        from evergrow.errors import EvergrowError
        from evergrow.run import save_checkpoint
        folder = Path(sys.argv[1])
        write_file(folder / "a", "old")
        append_file(folder / "lines", "x" * 4000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        def folder_of_text():
            with new_folder(folder / "run") as unfinished:
                (unfinished / "big").write_text("x" * 8192)
        for write in (
            lambda: write_file(folder / "a", "x" * 8192),
            lambda: append_file(folder / "lines", "y" * 200),
            folder_of_text,
            lambda: save_checkpoint(folder / "point", {"model": {"w": torch.zeros(4096)}}, {}),
        ):
            try:
                write()
            except EvergrowError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{tmp_path / name}: {FULL}" for name in ("a", "lines", "run", "point")
    ]
    assert names(tmp_path) == ["a", "lines"]
    assert (tmp_path / "a").read_text() == "old"
    assert (tmp_path / "lines").read_text() == "x" * 4000


def test_checksum_is_blake3(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert checksum(tmp_path / "a") == (
        "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"  # the paper's vector
    )
    (tmp_path / "b").write_bytes(b"x" * (1 << 20) + b"y")
    (tmp_path / "c").write_bytes(b"x" * (1 << 20) + b"z")
    assert checksum(tmp_path / "b") != checksum(tmp_path / "c")
    assert checksum(tmp_path / "b", 1 << 20) == checksum(tmp_path / "c", 1 << 20)
    assert checksum(tmp_path / "b", (1 << 20) + 1) == checksum(tmp_path / "b")
    assert checksum(tmp_path / "b", 0) == checksum(tmp_path / "c", 0) != checksum(tmp_path / "b")


def test_a_checksum_is_remembered_while_the_file_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other, read = tmp_path / "a", tmp_path / "b", []
    path.write_bytes(b"abc")
    found = checksum(path)
    monkeypatch.setattr(disk, "checksum", lambda path: read.append(path) or checksum(path))
    assert [checksum_once(path), checksum_once(path)] == [found, found]
    assert read == [path]
    stood = path.stat()
    other.write_bytes(b"abd")
    os.utime(other, ns=(stood.st_atime_ns, stood.st_mtime_ns))
    other.rename(path)  # of the same length and time, and yet another file
    assert checksum_once(path) == checksum(path) != found
    path.write_bytes(b"abe")
    os.utime(path, ns=(0, stood.st_mtime_ns + 1))
    assert checksum_once(path) == checksum(path)


def test_what_is_sealed_is_read_as_it_was_written_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    record = {"rate": 3e-4, "step": 17, "name": "zwölf", "none": None, "nan": [1.0, True]}
    data = json.dumps(sealed(record), indent=1).encode()
    path.write_bytes(data)
    assert read_object(path, "copy it again") == record
    assert sealed(sealed(record)) == sealed(record)
    refused = 0
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            found = read_object(path, "copy it again")
        except EvergrowError:
            refused += 1
        else:  # such as \\u00F6 for \\u00f6; or the seal's own name, and nothing else
            assert {k: v for k, v in found.items() if k in record} == record
    assert refused > len(data) / 2


@pytest.mark.parametrize(
    ("data", "damage"),
    [
        (b"", "Expecting value"),
        (b"[1]", "it holds a list and no object"),
        (b'{"a": 1', "delimiter"),
        (b"\xff\xfe\x00", "utf"),
        (b"[" * 100_000, "recursion"),
        (None, "No such file"),
    ],
)
def test_what_holds_no_object_is_a_sentence(
    data: bytes | None, damage: str, tmp_path: Path
) -> None:
    path = tmp_path / "facts.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=rf"facts.json: damaged \(.*{damage}.*\); copy it again"):
        read_object(path, "copy it again", InputError)
    path.write_text('{"a": [1, null]}')
    assert read_object(path, "copy it again") == {"a": [1, None]}

import threading
from pathlib import Path
from typing import Any

import pytest

from evergrow.disk import checksum
from evergrow.errors import EvergrowError
from evergrow.stream import proof
from evergrow.stream.proof import Proof, read_data_manifest


def written(folder: Path, name: str, data: bytes) -> dict[str, dict[str, Any]]:
    (folder / name).write_bytes(data)
    return {name: {"bytes": len(data), "blake3": checksum(folder / name)}}


def test_a_file_is_read_once_a_process_unless_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = written(tmp_path, "a", b"abc") | written(tmp_path, "b", b"def")
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return checksum(path)

    monkeypatch.setattr(proof, "checksum", counted)
    Proof(tmp_path, files)
    Proof(tmp_path, files)
    assert read == ["a", "b"]
    (tmp_path / "b").write_bytes(b"dex")
    with pytest.raises(EvergrowError, match=r"/b: its bytes are not those the manifest recorded"):
        Proof(tmp_path, files)
    assert read == ["a", "b", "b"]


def test_large_files_are_read_beside_their_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = written(tmp_path, "a", b"abc")
    (tmp_path / "a").write_bytes(b"abx")
    go_on = threading.Event()

    def late(path: Path) -> str:
        assert go_on.wait(10)
        return checksum(path)

    monkeypatch.setattr(proof, "checksum", late)
    monkeypatch.setattr(proof, "AT_ONCE", 2)
    found = Proof(tmp_path, files)
    found.hold()  # nothing is known yet
    go_on.set()
    with pytest.raises(EvergrowError, match=r"/a: its bytes are not those"):
        found.wait()
    with pytest.raises(EvergrowError, match=r"/a: its bytes are not those"):
        found.hold()


def test_sizes_are_compared_first(tmp_path: Path) -> None:
    files = written(tmp_path, "a", b"abc")
    for data, state in [(b"ab", "truncated, 2 bytes"), (b"abcd", "too long, 4 bytes")]:
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(EvergrowError, match=f"/a: {state} where the manifest says 3; restore"):
            Proof(tmp_path, files)


@pytest.mark.parametrize("text", ["", "{", "[]", "\udc80"])
def test_a_manifest_that_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(EvergrowError, match=r"manifest.json: .*prepare the data again"):
        read_data_manifest(tmp_path)

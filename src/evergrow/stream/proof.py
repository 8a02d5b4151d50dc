"""Whether a data folder's files still are what its manifest recorded: each is read once a process.

What is small is read before the folder is used; what is large beside its use, and whoever reads the
folder is told as soon as a damage is found.
"""

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from evergrow.disk import checksum, read_object, sealed
from evergrow.errors import EvergrowError

AT_ONCE = 64 * 2**20  # bytes of a folder: a tenth of a second
WAY_OUT = "restore the folder or delete it and prepare the data again"
_PROVEN: set[tuple[str, int, int]] = set()  # path, size and time of change of what was read


def write_data_manifest(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest of a data folder, sealed with a hash of itself; returns it."""
    text = json.dumps(sealed(manifest), indent=1, sort_keys=True) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    return dict(manifest)


def read_data_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a data folder. Raises EvergrowError when it is missing, broken or changed."""
    return read_object(folder / "manifest.json", WAY_OUT)


@final
class Proof:
    """The proof of one folder's ``files``: name -> {bytes, blake3}.

    Raises EvergrowError for a missing or truncated file, and for one with other bytes when it is
    small; ``hold`` raises it for a large one.
    """

    def __init__(self, folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
        for name, file in files.items():
            _refuse_other_size(folder / name, file["bytes"])
        rest = {folder / name: str(file["blake3"]) for name, file in files.items()}
        self._rest = {path: digest for path, digest in rest.items() if _mark(path) not in _PROVEN}
        self._damage: EvergrowError | None = None
        self._thread: threading.Thread | None = None
        if sum(path.stat().st_size for path in self._rest) <= AT_ONCE:
            self._read()
            self.hold()
        else:
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()

    def _read(self) -> None:
        for path, digest in self._rest.items():
            mark = _mark(path)
            if checksum(path) != digest:
                self._damage = EvergrowError(
                    f"{path}: its bytes are not those the manifest recorded; {WAY_OUT}"
                )
                return
            _PROVEN.add(mark)

    def hold(self) -> None:
        """Raise the damage that was found so far."""
        if self._damage is not None:
            raise self._damage

    def wait(self) -> None:
        """Go on when all is read; raises what was found."""
        if self._thread is not None:
            self._thread.join()
        self.hold()


def _mark(path: Path) -> tuple[str, int, int]:
    facts = path.stat()
    return str(path.resolve()), facts.st_size, facts.st_mtime_ns


def _refuse_other_size(path: Path, num_bytes: int) -> None:
    found = path.stat().st_size if path.exists() else 0
    if found != num_bytes:
        state = "truncated" if found < num_bytes else "too long"
        raise EvergrowError(
            f"{path}: {state}, {found:,} bytes where the manifest says {num_bytes:,}; {WAY_OUT}"
        )

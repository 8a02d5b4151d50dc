import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from hostile_programs import MARK, can_start, left_over

from evergrow.errors import EvergrowError
from evergrow.sandbox import probe, process, seccomp, tiers
from evergrow.sandbox.limits import Limits
from evergrow.sandbox.pair import judged
from evergrow.sandbox.tiers import TIERS

TESTS = ("", "def check(candidate):\n    raise ValueError(candidate())\n")


@pytest.fixture
def fresh() -> Iterator[None]:
    probe.why_not.cache_clear()
    yield
    probe.why_not.cache_clear()


def told(tier: str, body: str, limits: Limits | None = None) -> str:
    """What a program answers, as text."""
    if not can_start(tier):
        pytest.skip(f"this machine has nothing for the tier {tier!r}")
    source = f"import os, sys, resource\ndef f(): return {body}"
    return judged(TIERS[tier], source, "f", TESTS, limits or Limits()).detail


def test_the_tightest_that_starts_is_taken(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reasons: dict[str, str | None] = {"bubblewrap": None, "namespaces": None, "none": None}
    monkeypatch.setattr(probe, "why_not", lambda name: reasons[name])
    assert probe.tier().name == "bubblewrap"
    reasons["bubblewrap"] = "Operation not permitted"
    assert probe.tier(allow_unsandboxed=True).name == "namespaces"
    reasons["namespaces"] = "no program 'unshare'"
    assert probe.tier(allow_unsandboxed=True).name == "none"
    with pytest.raises(EvergrowError, match=r"not permitted; namespaces: no .*--allow-unsandboxed"):
        probe.tier()


def test_a_tier_that_does_not_start_says_why(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "_bwrap", lambda: "/usr/bin/false")
    assert probe.why_not("bubblewrap") == "it ended with exit code 1"
    monkeypatch.setattr(tiers.shutil, "which", lambda *_, **__: None)
    assert probe.why_not("namespaces") == "no program 'setpriv'"


def test_a_root_whose_programs_have_no_limit_is_refused() -> None:
    """Root of a user namespace stays root outside, whom the kernel lets fork without bound."""
    code = "from evergrow.sandbox import probe; probe.tier()"
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", code]
    if os.geteuid() != 0 or not can_start("bubblewrap"):
        pytest.skip("needs root and user namespaces")
    done = subprocess.run(command, capture_output=True, text=True)
    assert "bubblewrap: its programs may begin any number of processes" in done.stderr


def test_the_program_of_the_system_is_taken_without_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiers.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(tiers.shutil, "which", lambda name, path: f"/usr/bin/{name}")
    assert TIERS["bubblewrap"].command(0, Limits())[0] == "/usr/bin/bwrap"


@pytest.mark.parametrize("tier", ["bubblewrap", pytest.param("namespaces", marks=pytest.mark.slow)])
def test_inside_nobody_has_rights_a_name_or_an_environment(tier: str) -> None:
    assert told(tier, "sorted(os.environ)") in (
        "the test cannot use the answer: ValueError: ['LC_CTYPE', 'PYTHONHASHSEED']",
        "the test cannot use the answer: ValueError: "
        "['LC_CTYPE', 'LD_LIBRARY_PATH', 'PYTHONHASHSEED']",
        "the test cannot use the answer: ValueError: "
        "['LC_CTYPE', 'LD_LIBRARY_PATH', 'PWD', 'PYTHONHASHSEED']",
    )
    if os.geteuid() == 0:
        assert told(tier, "20000 <= os.getuid() < 60000 and os.getgroups() == []").endswith("True")
    assert told(tier, "'site' in sys.modules").endswith("False")


def test_bubblewrap_shows_the_system_and_one_place_to_write() -> None:
    shown = told("bubblewrap", "[n for n in os.listdir('/') if not n.startswith(('lib', 'sbin'))]")
    home = [] if sys.base_prefix.startswith("/usr") else ["python"]
    assert set(eval(shown.split("ValueError: ")[1])) == {"bin", "dev", "scratch", "usr", *home}
    assert told("bubblewrap", "os.getcwd()").endswith("/scratch")


@pytest.mark.parametrize("tier", ["bubblewrap", pytest.param("none", marks=pytest.mark.slow)])
def test_limits_are_set(tier: str) -> None:
    limits = Limits(3, 60, 1 << 28, 5, 20, 1 << 20)
    names = ("CPU", "AS", "NPROC", "NOFILE", "FSIZE", "CORE")
    body = "[" + ", ".join(f"resource.getrlimit(resource.RLIMIT_{n})" for n in names) + "]"
    wanted = [(3, 4), (1 << 28,) * 2, (5, 5), (20, 20), (1 << 20,) * 2, (0, 0)]
    assert told(tier, body, limits).endswith(f"ValueError: {wanted}")


def test_a_process_is_of_another_user_than_its_neighbour() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has other users to become")
    users = {TIERS["bubblewrap"].command(n, Limits())[-7] for n in range(100)}
    assert len(users) == 100


def test_the_folder_of_no_sandbox_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = process.tempfile.TemporaryDirectory
    monkeypatch.setattr(
        process.tempfile, "TemporaryDirectory", lambda: made.append((d := real()).name) or d
    )
    assert told("none", "open('left', 'w').write('x')").endswith(": 1")
    assert len(made) >= 2 and not any(map(os.path.exists, made))


def run_filter(program: bytes, architecture: int, number: int, first: int = 0) -> int:
    """What a filter returns for a call: classic BPF by the letter of bpf_common.h."""
    data = number.to_bytes(4, "little") + architecture.to_bytes(4, "little") + bytes(8)
    data += first.to_bytes(8, "little")
    lines = [program[i : i + 8] for i in range(0, len(program), 8)]
    at, value = 0, 0
    while True:
        code, yes, no = int.from_bytes(lines[at][:2], "little"), lines[at][2], lines[at][3]
        operand = int.from_bytes(lines[at][4:], "little")
        at += 1
        if code == 0x20:
            value = int.from_bytes(data[operand : operand + 4], "little")
        elif code == 0x06:
            return operand
        else:
            tests = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}
            at += yes if tests[code] else no


@pytest.mark.parametrize(
    ("machine", "architecture", "clone", "read"),
    [("x86_64", 0xC000003E, 56, 0), ("aarch64", 0xC00000B7, 220, 63)],
)
def test_the_filter_refuses_what_it_lists(
    machine: str, architecture: int, clone: int, read: int
) -> None:
    program = seccomp.program(machine)
    assert program is not None
    refused = {run_filter(program, architecture, n) for n in seccomp.REFUSED[machine].values()}
    assert refused == {0x00050001}  # EPERM
    assert run_filter(program, architecture, read) == 0x7FFF0000
    assert run_filter(program, architecture, clone, 0x01200011) == 0x7FFF0000  # fork
    assert run_filter(program, architecture, clone, 0x003D0F00) == 0x7FFF0000  # a thread
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert run_filter(program, architecture, clone, flag | 17) == 0x00050001
    assert run_filter(program, architecture, 435) == 0x00050026  # clone3: ENOSYS
    assert run_filter(program, architecture, 0x40000000) == 0x00050026
    assert run_filter(program, 0x40000003, read) == 0x80000000  # another architecture's numbers


def test_a_machine_without_a_filter_goes_without() -> None:
    assert seccomp.program("riscv64") is None
    assert (seccomp.program() is None) == (platform.machine() not in seccomp.REFUSED)


def test_what_goes_inside_imports_the_standard_library_alone() -> None:
    code = (
        "import sys; before = set(sys.modules);"
        "import evergrow.sandbox.inside.judge, evergrow.sandbox.inside.candidate;"
        "print(*{n.split('.')[0] for n in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["evergrow"]


@pytest.mark.parametrize("num_begun", [2, 3, 5])  # the parent is the first
@pytest.mark.parametrize("tier", ["bubblewrap", pytest.param("namespaces", marks=pytest.mark.slow)])
def test_programs_end_with_a_killed_parent(tier: str, num_begun: int) -> None:
    if not can_start(tier):
        pytest.skip(f"this machine has nothing for the tier {tier!r}")
    code = (
        "from evergrow.sandbox import pair, tiers, limits, process; "
        f"process._BOOT += {MARK!r}; pair.judged(tiers.TIERS[{tier!r}], "
        "'import time; time.sleep(99)', 'f', ('', 'def check(c): pass'), limits.Limits())"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: len(left_over()) >= num_begun)
    parent.kill()
    parent.wait()
    wait_until(lambda: left_over() == [])


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)

"""One Run on disk: the lock, checkpoints bit for bit, records cut back, manifests."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from evergrow import disk
from evergrow.disk import locked, sealed
from evergrow.errors import EvergrowError, InputError
from evergrow.run import (
    FORMAT,
    RECORDS,
    Begin,
    Branch,
    Ledger,
    Manifest,
    Run,
    Seen,
    StageRecord,
    Start,
    drop_checkpoint,
    load_checkpoint,
    read_checkpoint_state,
    read_manifest,
    save_checkpoint,
    write_manifest,
)

STAGE = StageRecord(
    name="one",
    key="0123456789abcdef",
    begin=Begin(kind="start"),
    path=[0],
    status="done",
    first_step=0,
    num_steps=10,
    fork_step=8,
    clock=0,
    per_step=32,
    counted="tokens",
    unit="bits per byte",
    objective="causal",
    mixture={"english": 1.0},
    replay={"fraction": 0.25, "order": "seen"},
    schedule=[{"start": 0, "end": None, "from_lr": 1e-3, "to_lr": 1e-3, "shape": "constant"}],
    release_schedule=None,
    ledger=Ledger(
        shares={"english-1": 1},
        replay_shares=(1, 3),
        replay_order="seen",
        num_samples=20,
        sizes={"english-1": 40},
        tokens_an_item={"english-1": 16},
    ),
    seen={"english-1": Seen(first=0, last=20, epochs=0.5, replayed=0, tokens=320)},
    release="releases/one",
    offsets={"metrics": 40},
)
MANIFEST = Manifest(
    evergrow="0.1.0",
    commit=None,
    name="tiny",
    arm="main",
    seed=3,
    recipe={"name": "tiny"},
    environment={},
    start=Start(source="olmo2, from scratch", kind="causal", key="0f" * 32),
    model={"source": "olmo2, from scratch"},
    data={"english": "data/english-1"},
    stages=[STAGE],
    branches=[
        Branch(
            name="one-anneal-64",
            key="fedcba9876543210",
            stage="one",
            from_step=10,
            tokens=64,
            release="releases/x",
        )
    ],
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    write_manifest(tmp_path / "main", MANIFEST)
    return Run(tmp_path / "main")


def tensors() -> dict[str, dict[str, torch.Tensor]]:
    """Values that a detour through text or another type would change."""
    torch.set_flush_denormal(False)  # a run in this process turns it on
    odd = torch.tensor([0.1, -0.0, 1e-42, float("nan"), float("inf"), 3.0000002])
    return {
        "model": {"w": odd.view(2, 3), "b": odd.to(torch.bfloat16)},
        "optimizer": {"w.step": torch.tensor(2**40), "w.exp_avg": odd.double() / 3},
    }


def bits(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).tolist())


# --- manifest


def test_a_manifest_comes_back_equal(run: Run) -> None:
    assert run.manifest == MANIFEST
    assert run.manifest.format == FORMAT == 2


def test_saving_changes_the_named_fields_alone(run: Run) -> None:
    run.save(status="done")
    run.save_stage(0, release="releases/two", offsets={"evals": 7})
    again = read_manifest(run.folder)
    assert again == run.manifest
    assert again.status == "done"
    assert again.stages[0] == STAGE.model_copy(
        update={"release": "releases/two", "offsets": {"evals": 7}}
    )
    assert again.model_copy(update={"status": "running", "stages": [STAGE]}) == MANIFEST


def test_the_clock_of_a_stage_begins_where_its_way_has_come_to() -> None:
    """A stage of 10 steps of 32 tokens, behind 7 steps on which 100 tokens passed."""
    stage = STAGE.model_copy(update={"first_step": 7, "clock": 100})
    assert (stage.last_step, stage.tokens) == (17, 320)
    assert [stage.clock_at(step) for step in (7, 8, 17)] == [100, 132, 420]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "{folder}: no run here (manifest.json is missing); 'evergrow list' shows runs"),
        (
            '{"format": 2,',
            "{folder}/manifest.json: damaged (Expecting property name enclosed in double quotes: "
            "line 1 column 14 (char 13)); restore it from a copy",
        ),
        (
            "[]",
            "{folder}/manifest.json: damaged (it holds a list and no object); restore it from a "
            "copy",
        ),
        (
            '{"format": 1}',
            "{folder}/manifest.json: format 1 was written by an earlier evergrow and is read no "
            "more, this one writes 2; its releases can be continued by name, or start over with "
            "--fresh",
        ),
        (
            '{"format": 3}',
            "{folder}/manifest.json: format 3 is newer than 2, the newest this version reads; "
            "upgrade evergrow",
        ),
        (
            '{"format": "x"}',
            "{folder}/manifest.json: expected a format number, got 'x'; restore it from a copy",
        ),
    ],
)
def test_manifests_that_cannot_be_read(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value) == said.format(folder=tmp_path)


def test_a_flipped_bit_in_a_manifest_is_found(run: Run) -> None:
    """A digit that is another digit still parses: a seed, a rate, a step."""
    path = run.folder / "manifest.json"
    data = path.read_bytes()
    digits = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    assert len(digits) > 50
    for place in digits:
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(InputError, match=r"manifest.json: damaged .*; restore it from a copy"):
            read_manifest(run.folder)
    path.write_bytes(data)
    assert read_manifest(run.folder) == MANIFEST


def test_a_manifest_with_a_strange_key_names_it(run: Run) -> None:
    data = json.loads(MANIFEST.model_dump_json())
    data["stages"][0]["ledger"]["share"] = {}
    (run.folder / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(InputError) as caught:
        read_manifest(run.folder)
    assert str(caught.value) == (
        "manifest.stages[0].ledger.share: unknown key; did you mean 'shares'?"
    )


# --- records


def test_records_are_lines_of_sorted_keys(run: Run) -> None:
    run.append("metrics", [{"step": 1, "loss": 2.5}, {"loss": None, "step": 2}])
    run.append("metrics", [{"text": "zwölf"}])
    assert (run.folder / "metrics.jsonl").read_bytes() == (
        b'{"loss": 2.5, "step": 1}\n{"loss": null, "step": 2}\n{"text": "zw\\u00f6lf"}\n'
    )
    assert run.read("metrics")[2] == {"text": "zwölf"}
    assert run.read("evals") == []


def test_a_line_being_written_is_not_read_yet(run: Run) -> None:
    run.append("evals", [{"step": 1}])
    with (run.folder / "evals.jsonl").open("a") as file:
        file.write('{"step": ')
    assert run.read("evals") == [{"step": 1}]
    (run.folder / "metrics.jsonl").write_text('{"st')
    assert run.read("metrics") == []


def test_cutting_drops_what_came_after_the_checkpoint(run: Run) -> None:
    assert RECORDS == ("metrics", "evals", "timing")
    for record in ("metrics", "timing"):
        run.append(record, [{"step": 1}])
    offsets = run.offsets()
    assert offsets == {"metrics": 12, "evals": 0}
    for record in RECORDS:
        run.append(record, [{"step": 2}])
    run.cut(offsets)
    assert run.read("metrics") == [{"step": 1}]
    assert run.read("evals") == []
    assert run.read("timing") == [{"step": 1}, {"step": 2}]  # a clock is never turned back
    run.append("evals", [{"step": 1}])
    run.cut(run.offsets())
    assert run.read("evals") == [{"step": 1}]
    run.cut({"metrics": 12})
    assert run.read("evals") == []


def test_cutting_refuses_a_record_that_became_shorter(run: Run) -> None:
    run.append("metrics", [{"step": 1}])
    with pytest.raises(EvergrowError) as caught:
        run.cut({"metrics": 13})
    assert str(caught.value) == (
        f"{run.folder}/metrics.jsonl: holds 12 bytes where the checkpoint expects 13; the file was "
        "changed from outside, so restore it or start again with --fresh"
    )
    assert run.read("metrics") == [{"step": 1}]


# --- checkpoints


STATE = {"passed": 160, "offsets": {"metrics": 40}, "schedule": []}


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints" / "1"
    save_checkpoint(folder, tensors(), STATE)
    found = load_checkpoint(folder)
    assert found.keys() == {"model", "optimizer"}
    for group, expected in tensors().items():
        assert found[group].keys() == expected.keys()
        for name, tensor in expected.items():
            assert found[group][name].dtype == tensor.dtype
            assert found[group][name].shape == tensor.shape
            assert bits(found[group][name]) == bits(tensor)
    state = read_checkpoint_state(folder)
    assert (state.passed, state.offsets, state.schedule) == (160, {"metrics": 40}, [])
    assert state.files.keys() == {"model.safetensors", "optimizer.safetensors"}


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from test_run import save_checkpoint, tensors
        save_checkpoint(Path(sys.argv[1]), tensors(), {"b": 1, "a": 2})
    """
    args = [str(tmp_path / "theirs"), str(Path(__file__).parent)]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args], check=True, env=environment
    )
    save_checkpoint(tmp_path / "ours", tensors(), {"a": 2, "b": 1})
    for name in ("model.safetensors", "optimizer.safetensors", "state.json"):
        ours, theirs = (tmp_path / who / name for who in ("ours", "theirs"))
        assert ours.read_bytes() == theirs.read_bytes()
    header = (tmp_path / "ours" / "model.safetensors").read_bytes()[8:]
    assert b'"__metadata__":{"format":"pt"}' in header


def truncate(path: Path) -> None:
    os.truncate(path, 20)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (truncate, "damaged (20 of {size} bytes, and the checksum differs)"),
        (flip, "damaged ({size} of {size} bytes, and the checksum differs)"),
        (Path.unlink, "missing"),
    ],
)
def test_a_damaged_checkpoint_names_the_way_out(tmp_path: Path, damage: Any, found: str) -> None:
    folder = tmp_path / "1"
    save_checkpoint(folder, tensors(), STATE)
    path = folder / "optimizer.safetensors"
    said = found.format(size=path.stat().st_size)
    damage(path)
    with pytest.raises(EvergrowError) as caught:
        load_checkpoint(folder)
    assert str(caught.value) == (
        f"{path}: {said}; delete {folder} to go on from the checkpoint before it"
    )


def test_a_flipped_bit_in_the_state_of_a_checkpoint_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "1"
    save_checkpoint(folder, tensors(), {**STATE, "schedule": [{"from_lr": 3e-4, "end": 160}]})
    path = folder / "state.json"
    data = path.read_bytes()
    for place in (place for place, byte in enumerate(data) if chr(byte).isdigit()):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(EvergrowError, match=r"state.json: damaged .*; delete .* to go on from"):
            read_checkpoint_state(folder)


def test_checkpoint_states_that_cannot_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "1"
    with pytest.raises(InputError) as caught:
        load_checkpoint(folder)
    assert str(caught.value) == f"{folder}: no checkpoint here (state.json is missing)"
    save_checkpoint(folder, tensors(), STATE)
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "format": 3}))
    with pytest.raises(EvergrowError, match=r"state.json: damaged \(it is not what was written\)"):
        load_checkpoint(folder)
    (folder / "state.json").write_text(json.dumps(sealed({**state, "format": 3})))
    with pytest.raises(InputError) as caught:
        load_checkpoint(folder)
    assert str(caught.value) == (
        f"{folder}/state.json: format 3 is newer than 2, the newest this version reads; "
        "upgrade evergrow"
    )
    (folder / "state.json").write_bytes(b"")
    with pytest.raises(EvergrowError) as caught:
        load_checkpoint(folder)
    assert str(caught.value) == (
        f"{folder}/state.json: damaged (Expecting value: line 1 column 1 (char 0)); "
        f"delete {folder} to go on from the checkpoint before it"
    )


def test_dropping_leaves_nothing_even_of_an_interrupted_drop(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "1", tensors(), {})
    save_checkpoint(tmp_path / "2", tensors(), {})
    (tmp_path / "1").rename(tmp_path / ".1.writing-dropped")  # killed before it was deleted
    drop_checkpoint(tmp_path / "2")
    assert list(tmp_path.iterdir()) == []


# --- the lock

HOLD = """
    import sys, time
    from pathlib import Path
    from evergrow.disk import locked
    with locked(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(60)
"""


def test_a_run_in_use_is_refused_until_its_process_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    args = [sys.executable, "-c", textwrap.dedent(HOLD), str(folder)]
    with subprocess.Popen(args, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with monkeypatch.context() as patch, pytest.raises(InputError) as caught:
            patch.setattr(disk, "LOCK_PATIENCE", 0.1)
            with locked(folder):
                pass
        holder.send_signal(signal.SIGKILL)
    assert str(caught.value) == (
        f"{folder}: in use by process {holder.pid} on {socket.gethostname()}; "
        "wait for it or stop it"
    )
    with locked(folder):
        assert (folder / ".lock").read_text() == (
            f"process {os.getpid()} on {socket.gethostname()}"
        )
    with locked(folder):  # and again by the same process, once it let go
        pass


def test_the_lock_waits_for_a_process_that_is_dying(tmp_path: Path) -> None:
    begun = time.monotonic()
    held = threading.Event()

    def hold() -> None:
        with locked(tmp_path):
            held.set()
            time.sleep(0.4)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with locked(tmp_path):
        assert time.monotonic() - begun > 0.35
    thread.join()

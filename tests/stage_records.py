"""A stage as a Run's manifest records it, where only a few of its facts matter."""

from typing import Any

from evergrow.run import Begin, Ledger, StageRecord


def stage_record(name: str, **facts: Any) -> StageRecord:
    """A finished stage that begins at the start and learns ``name`` alone, but for ``facts``."""
    usual: dict[str, Any] = {
        "key": name,
        "begin": Begin(kind="start"),
        "path": [0],
        "status": "done",
        "first_step": 0,
        "num_steps": 1,
        "fork_step": None,
        "clock": 0,
        "per_step": 1,
        "counted": "tokens",
        "unit": "bits per byte",
        "objective": "causal",
        "mixture": {name: 1.0},
        "replay": {},
        "schedule": [],
        "release_schedule": None,
        "ledger": Ledger(
            shares={},
            replay_shares=(0, 1),
            replay_order="seen",
            num_samples=0,
            sizes={},
            tokens_an_item={},
        ),
        "seen": {},
    }
    return StageRecord(name=name, **{**usual, **facts})

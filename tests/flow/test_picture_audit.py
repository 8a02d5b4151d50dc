"""What the report says of the audit of pictures."""

import json
from pathlib import Path

from flow.tiny import carry, run_of
from flow.tiny_pictures import PER_STEP, digits, page_of

from evergrow.run import Run


def test_the_page_says_whom_the_audit_compared(tmp_path: Path) -> None:
    stages = {f"stages__{n}__images": 2 * PER_STEP for n in (0, 1)}
    root = run_of(carry(digits(**stages, evaluate__every=0), tmp_path, tmp_path)).folder.parent
    path = root / "data" / "audit.json"
    audit = json.loads(path.read_text())
    assert "Sources share no pseudonyms" not in page_of(Run(root / "main"))
    for own in audit["by_source"].values():
        own["patients"] = 40
    audit["by_source"]["high"]["on_other_side"] = 2
    pair = {"first": "a", "second": "b", "parts": "train, train", "labels": ["8", "9"]}
    audit["exact"]["label_conflicts"] = [pair]
    path.write_text(json.dumps(audit))
    page = page_of(Run(root / "main"))
    assert "each on the same side everywhere, except 2 patients (high: 2) whom a split" in page
    assert "(0 across the split, 1 with labels that disagree)" in page

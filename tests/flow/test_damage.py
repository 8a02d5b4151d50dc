"""What is damaged on disk is found and named in a sentence; the way out that is named leads out."""

import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
from flow.tiny import PER_STEP, carry, contents, tiny

from evergrow.cli.look import show_lineage
from evergrow.cli.terminal import console
from evergrow.errors import EvergrowError, InputError
from evergrow.flow.annealing import anneal
from evergrow.flow.find import find_run
from evergrow.flow.listing import list_runs
from evergrow.flow.look import evaluate, sample
from evergrow.flow.pages import write_pages_again
from evergrow.flow.verbs import continue_run
from evergrow.grow.config import GrowConfig
from evergrow.grow.folder import grow_folder
from evergrow.listener import Listener
from evergrow.report.folder import read_run_folder
from evergrow.report.page import render
from evergrow.run import Run

THREE = {"name": "three", "data": "land", "tokens": 4 * PER_STEP}
LONGER = tiny(stages=[*tiny().to_data()["stages"], THREE])


def flip(path: Path) -> None:
    found = bytearray(path.read_bytes())
    found[len(found) // 2] ^= 0x40
    path.write_bytes(found)


@pytest.mark.parametrize(
    "name",
    [
        "train/shard-00000.bin",
        "train/shard-00000.idx",
        "train/documents.parquet",
        "held_out/shard-00000.bin",
        "held_out/documents.parquet",
    ],
)
def test_a_flipped_byte_of_the_data_is_found(name: str, base: Path, lived: Path) -> None:
    folder = next((lived / "data").glob("sea-*"))
    flip(folder / name)
    with pytest.raises(EvergrowError, match=f"{name}: its bytes are not those the manifest rec"):
        carry(LONGER, lived.parent, base)
    with pytest.raises(EvergrowError, match=f"{name}: its bytes are not those the manifest rec"):
        anneal(lived, 4 * PER_STEP, "linear", 0.1, Listener())
    with pytest.raises(EvergrowError, match=f"{name}: its bytes are not those the manifest rec"):
        continue_run(lived, [str(base / "sky/*.txt")], 4 * PER_STEP, "sky", Listener())


@pytest.mark.parametrize(
    "text", ["", "[]", '{"form": "tokens"}', '{"form": "x", "made": {}, "created_from": {}}']
)
def test_a_damaged_manifest_of_data_is_a_sentence(text: str, base: Path, lived: Path) -> None:
    path = next((lived / "data").glob("sea-*")) / "manifest.json"
    path.write_text(text)
    with pytest.raises(EvergrowError, match=r"manifest.json: .*prepare the data again"):
        anneal(lived, 4 * PER_STEP, "linear", 0.1, Listener())
    with pytest.raises(EvergrowError, match=r"manifest.json: .*prepare the data again"):
        carry(LONGER, lived.parent, base)


@pytest.mark.parametrize(
    "change", [('"source"', '"sourcf"'), ('"num_tokens": ', '"num_tokens": 1')]
)
def test_a_changed_manifest_of_data_is_found(
    change: tuple[str, str], base: Path, lived: Path
) -> None:
    """A name that is not found any more, and a number that would be believed."""
    path = next((lived / "data").glob("sea-*")) / "manifest.json"
    path.write_text(path.read_text().replace(*change, 1))
    said = r"manifest.json: damaged \(it is not what was written\); restore the folder or delete it"
    with pytest.raises(EvergrowError, match=said):
        continue_run(lived, [str(base / "sky/*.txt")], 4 * PER_STEP, "sky", Listener())
    with pytest.raises(EvergrowError, match=said):
        anneal(lived, 4 * PER_STEP, "linear", 0.1, Listener())


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_flipped_byte_of_a_release_is_found(name: str, base: Path, lived: Path) -> None:
    """It would load, and give other numbers; deleted, the run makes the same release again."""
    release = lived / "main" / "releases" / "two"
    before = contents(lived / "main")
    if name == "model.safetensors":
        flip(release / name)
    else:
        text = (release / name).read_text()
        changes = (("1e-06", "1e-02"), ('"ignore_merges": false', '"ignore_merges": true'))
        (release / name).write_text(text.replace(*changes[name == "tokenizer.json"]))
        assert (release / name).read_text() != text
    said = rf"{name}: damaged or changed .*delete .*releases/two and run the recipe again"
    from_release = tiny(name="other", model={"from": str(release)}, tokenizer=None)
    uses = (
        lambda: evaluate(release, [str(base / "sky/*.txt")], None),
        lambda: sample(release, "tree", 4, 0.0, 0),
        lambda: carry(from_release, lived.parent, base),
        lambda: grow_folder(release, DEEPER, lived / "grown"),
    )
    for use in uses:
        with pytest.raises(InputError, match=said):
            use()
    assert not (lived / "grown").exists()
    shutil.rmtree(release)
    carry(tiny(), lived.parent, base)
    assert contents(lived / "main") == before


@pytest.mark.parametrize("name", ["metrics", "evals"])
def test_another_digit_in_the_records_of_a_finished_stage_is_found(
    name: str, base: Path, lived: Path
) -> None:
    path = lived / "main" / f"{name}.jsonl"
    text = path.read_text()
    path.write_text(
        text.replace('"loss": 5.', '"loss": 4.', 1).replace('"low": 1.', '"low": 2.', 1)
    )
    assert path.read_text() != text
    said = rf"{name}.jsonl: damaged \(its lines up to the end of two are not those that were writ"
    with pytest.raises(InputError, match=said):
        carry(LONGER, lived.parent, base)
    with pytest.raises(InputError, match=said):
        read_run_folder(lived)
    path.write_text(text)
    carry(LONGER, lived.parent, base)


def test_another_digit_in_a_score_is_found(lived: Path) -> None:
    path = next((lived / "scores").glob("*/loss-sea-*.json"))
    path.write_text(
        path.read_text().replace('"low": 7.', '"low": 6.').replace('"low": 6.', '"low": 5.', 1)
    )
    with pytest.raises(EvergrowError, match=r"loss-sea.*damaged .*delete it and it is measured ag"):
        read_run_folder(lived)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"vocab_size": "many"}', None])
def test_a_damaged_record_of_the_tokenizer_is_a_sentence(
    text: str | None, base: Path, lived: Path
) -> None:
    path = lived / "tokenizer/evergrow_tokenizer.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(EvergrowError, match=r"evergrow_tokenizer.json: damaged .*restore it from"):
        carry(LONGER, lived.parent, base)


@pytest.mark.parametrize("cut", [1, 99, 2000])
def test_a_damaged_tokenizer_is_a_sentence(cut: int, base: Path, lived: Path) -> None:
    path = lived / "tokenizer/tokenizer.json"
    path.write_text(path.read_text()[:-cut] + "}" * (cut > 1))
    with pytest.raises(EvergrowError, match="tokenizer: no tokenizer that loads without running"):
        carry(LONGER, lived.parent, base)


def test_a_damaged_line_of_a_record_is_named(lived: Path) -> None:
    path = lived / "main/evals.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[1][1:], *lines[2:]]))
    with pytest.raises(EvergrowError, match=r"evals.jsonl:2: damaged \(.*restore the file"):
        Run(lived / "main").read("evals")


def test_a_damaged_manifest_does_not_hide_the_other_runs(lived: Path) -> None:
    shutil.copytree(lived / "main", lived / "other")
    path = lived / "other/manifest.json"
    for text in (path.read_text()[:-9], '{"format": 1}', "[]"):
        path.write_text(text)
        found = {listed.path.name: listed for listed in list_runs(lived.parent)}
        assert (found["main"].status, found["other"].status) == ("done", "unreadable")
        assert found["main"].tokens == 24 * PER_STEP
        assert found["other"].num_bytes > 0


def test_a_model_folder_that_is_gone_is_made_again(base: Path, lived: Path, tmp_path: Path) -> None:
    kept = Path(shutil.copytree(lived, tmp_path / "kept" / "tiny"))
    carry(LONGER, kept.parent, base)
    shutil.rmtree(lived / "main/model")
    carry(LONGER, lived.parent, base)
    assert contents(lived / "main") == contents(kept / "main")


@pytest.mark.parametrize("text", ["{", "[]", "\u2028"])
def test_a_damaged_architecture_is_named_and_made_again(
    text: str, base: Path, lived: Path, tmp_path: Path
) -> None:
    kept = Path(shutil.copytree(lived, tmp_path / "kept" / "tiny"))
    carry(LONGER, kept.parent, base)
    (lived / "main/model/config.json").write_text(text)
    with pytest.raises(EvergrowError, match=r"config.json: damaged .*delete .*model and it is"):
        carry(LONGER, lived.parent, base)
    shutil.rmtree(lived / "main/model")
    carry(LONGER, lived.parent, base)
    assert contents(lived / "main") == contents(kept / "main")


@pytest.mark.parametrize("verb", ["anneal", "run"])
def test_an_architecture_that_says_something_else_is_found(
    verb: str, base: Path, lived: Path
) -> None:
    """It would load, and compute another function."""
    path = lived / "main/model/config.json"
    text = path.read_text()
    path.write_text(text.replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-02'))
    assert path.read_text() != text
    with pytest.raises(EvergrowError, match=r"config.json: damaged .its bytes are not those of wh"):
        if verb == "anneal":
            anneal(lived, 4 * PER_STEP, "linear", 0.1, Listener())
        else:
            carry(LONGER, lived.parent, base)


@pytest.mark.parametrize("verb", ["anneal", "continue", "run"])
def test_the_way_out_of_a_damaged_end_leads_out(
    verb: str, base: Path, lived: Path, tmp_path: Path
) -> None:
    def go_on(root: Path) -> None:
        if verb == "anneal":
            anneal(root, 4 * PER_STEP, "linear", 0.1, Listener())
        elif verb == "continue":
            continue_run(root, [str(base / "sky/*.txt")], 4 * PER_STEP, "sky", Listener())
        else:
            carry(LONGER, root.parent, base)

    kept = Path(shutil.copytree(lived, tmp_path / "kept" / "tiny"))
    go_on(kept)
    end = next((lived / "main/checkpoints").glob("01-two-trunk-000000024"))
    flip(end / "model.safetensors")
    with pytest.raises(EvergrowError, match=r"damaged.*delete .* to go on from the checkpoint bef"):
        go_on(lived)
    shutil.rmtree(end)
    go_on(lived)
    one, two = trained(lived / "main"), trained(kept / "main")
    assert one == two


def trained(run: Path) -> dict[str, bytes]:
    """Weights and steps; a stage trained again is also measured on what came later."""
    found = contents(run)
    return {k: v for k, v in found.items() if k.endswith((".safetensors", "metrics.jsonl"))}


def test_an_end_that_is_gone_and_has_been_passed_is_a_sentence(base: Path, lived: Path) -> None:
    carry(LONGER, lived.parent, base)
    shutil.rmtree(lived / "main/checkpoints/01-two-trunk-000000024")
    stages = [*LONGER.to_data()["stages"], {**THREE, "name": "four", "from": "two"}]
    with pytest.raises(InputError, match="the end of two is gone, and three has begun since"):
        carry(tiny(stages=stages), lived.parent, base)


def told(verb: str, root: Path, base: Path) -> object:
    """The numbers that one command gives on the only run in a folder of recipes."""
    run = root / "tiny" / "main"
    if verb == "run":
        carry(LONGER, root, base)
    elif verb == "anneal":
        anneal(run, 2 * PER_STEP, "linear", 0.0, Listener())
    elif verb == "continue":
        continue_run(run, [str(base / "sky/*.txt")], 2 * PER_STEP, "sky", Listener())
    elif verb == "list":
        (one,) = list_runs(root)
        if one.status == "unreadable":  # what it says of a damaged manifest
            raise EvergrowError("unreadable")
        return one.status, one.stages, one.tokens
    elif verb == "log":
        with console.capture() as shown:
            show_lineage(find_run(root / "tiny"))
        return shown.get()
    elif verb == "report":
        write_pages_again(root / "tiny")
        return render(read_run_folder(root / "tiny"), datetime(2026, 1, 1, tzinfo=UTC))
    elif verb == "eval":
        return evaluate(run, [str(base / "sky/0*.txt")], None), evaluate(run, [], None)
    elif verb == "sample":
        return sample(run / "releases" / "two", "tree", 4, 0.0, 0)
    else:
        grow_folder(run / "releases" / "two", DEEPER, root / "grown")
        return (root / "grown" / "model.safetensors").read_bytes()
    return computed(run)


def computed(run: Path) -> dict[str, object]:
    """What a run has computed: weights, steps and scores, and what its manifest says of them.

    Of what was there before, files that nobody asks for may be damaged.
    """
    found = contents(run)
    manifest = Run(run).manifest
    return {
        **{k: v for k, v in found.items() if k.endswith(("metrics.jsonl", "evals.jsonl"))},
        **{k: v for k, v in found.items() if k.startswith("scores/") and "loss-" in k},
        "stages": manifest.stages,
        "branches": manifest.branches,
        "start": manifest.start,
        "weights": new_weights(run),
    }


def new_weights(run: Path) -> dict[str, bytes]:
    new = [p for p in (run / "releases").iterdir() if p.name not in ("one", "two")]
    return {p.name: (p / "model.safetensors").read_bytes() for p in new}


VERBS = ("run", "anneal", "continue", "list", "log", "report", "eval", "sample", "grow")
UNSEALED = ("recipe.yaml", "timing.jsonl", ".lock")  # a person's to edit; a clock; empty
DEEPER = GrowConfig(to={"layers": 3})


@pytest.fixture(scope="module")
def undamaged(
    base: Path, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], object]:
    """What each verb tells of the run as it was left."""

    @cache
    def of(verb: str) -> object:
        root = tmp_path_factory.mktemp(verb)
        shutil.copytree(whole.parent, root / "tiny")
        return told(verb, root, base)

    return of


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_a_damaged_file_is_a_sentence_or_makes_no_difference(
    verb: str, undamaged: Callable[[str], object], base: Path, whole: Path, tmp_path: Path
) -> None:
    """Forty files of a finished run, drawn by the verb's name, each damaged in one of four ways.

    A verb that succeeds gives the numbers that it gives without the damage.
    """
    draw = random.Random(verb)
    files = [p.relative_to(whole.parent) for p in sorted(whole.parent.rglob("*")) if p.is_file()]
    other = []
    for file in draw.sample([f for f in files if f.name not in UNSEALED], 40):
        root = tmp_path / "damaged"
        shutil.copytree(whole.parent, root / "tiny")
        how = damage(root / "tiny" / file, draw)
        with suppress(EvergrowError):  # another kind of error would be a traceback
            if told(verb, root, base) != undamaged(verb) and not is_left_out(verb, file, how):
                other.append(f"{file}: {how}")
        shutil.rmtree(root)
    assert other == []


def is_left_out(verb: str, file: Path, how: str) -> bool:
    """Whether the page has no more than a gap there: of a record that was taken away whole, a
    score (which `eval` measures again) or a manifest of texts (without it they are not finished).
    """
    records = ("scores/*/*.json", "corpora/*/corpus.json", "data/*/manifest.json")
    is_record = any(file.match(pattern) for pattern in records)
    return verb == "report" and how == "gone" and is_record


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_a_digit_that_is_another_digit_is_a_sentence_or_makes_no_difference(
    verb: str, undamaged: Callable[[str], object], base: Path, whole: Path, tmp_path: Path
) -> None:
    """It still parses: in every file of text that a program wrote, two digits in turn."""
    draw = random.Random(verb)
    texts = (".json", ".jsonl", ".jinja")
    found = sorted(whole.parent.rglob("*"))
    files = [p for p in found if p.suffix in texts and p.name not in UNSEALED]
    other = []
    for file in draw.sample(files, 30):
        root = tmp_path / "damaged"
        shutil.copytree(whole.parent, root / "tiny")
        path = root / "tiny" / file.relative_to(whole.parent)
        data = bytearray(path.read_bytes())
        digits = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
        for place in draw.sample(digits, min(2, len(digits))):
            data[place] ^= 1
        path.write_bytes(data)
        with suppress(EvergrowError):
            if told(verb, root, base) != undamaged(verb):
                other.append(str(path))
        shutil.rmtree(root)
    assert other == []


def damage(path: Path, draw: random.Random) -> str:
    """Flip a bit of a file, cut it, empty it or take it away; says which."""
    data = bytearray(path.read_bytes())
    how = draw.choice(["flip", "cut", "empty", "gone"])
    if how == "flip" and data:
        data[draw.randrange(len(data))] ^= 0x40
    path.write_bytes({"flip": data, "cut": data[: len(data) // 2]}.get(how, b""))
    if how == "gone":
        path.unlink()
    return how

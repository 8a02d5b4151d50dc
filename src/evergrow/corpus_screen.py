"""What a terminal shows of corpora: waterfalls, and why a document is in one or not."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from evergrow.screen import console, megabytes


def show_waterfall(name: str, waterfall: Mapping[str, Any]) -> None:
    """What each rule dropped, in the order in which they were asked."""
    table = _table(name, "rule", "dropped", "bytes", "would drop first", "left")
    left = waterfall["read"]["documents"]
    table.add_row("read", "", _size(waterfall["read"]), "", f"{left:,}")
    for step in waterfall["steps"]:
        left -= step["documents"]
        if step["any_documents"]:
            dropped, first = f"{step['documents']:,}", f"{step['any_documents']:,}"
            table.add_row(step["rule"], dropped, _size(step), first, f"{left:,}")
    table.add_row("kept", "", _size(waterfall["kept"]), "", f"{left:,}")
    console.print(table)


def show_what_if(told: Mapping[str, Any]) -> None:
    """Both waterfalls side by side, and what each rule of the other policy keeps out alone."""
    columns = ("rule", "drops now", "would drop", "bytes", "without it, kept more")
    table = _table(f"{told['corpus']}: the other policy", *columns)
    now = {step["rule"]: step for step in told["now"]["steps"]}
    then = {step["rule"]: step for step in told["then"]["steps"]}
    for rule in dict.fromkeys([*now, *then]):
        old, new = now.get(rule), then.get(rule)
        if not (old and old["documents"]) and not (new and new["documents"]):
            continue
        alone = told["alone"].get(rule, {"documents": 0, "bytes": 0})
        more = f"{alone['documents']:+,} ({_size(alone)})" if rule in then else ""
        size = _size(new) if new else ""
        table.add_row(rule, _number(old), _number(new), size, more)
    kept = [told[when]["kept"] for when in ("now", "then")]
    table.add_row("kept", *(f"{k['documents']:,}" for k in kept), _size(kept[1]), "")
    console.print(table)


def _number(step: Mapping[str, Any] | None) -> str:
    return "not asked" if step is None else f"{step['documents']:,}"


def _size(counted: Mapping[str, Any]) -> str:
    num_bytes = counted["bytes"]
    return megabytes(num_bytes) if num_bytes >= 1e6 else f"{num_bytes / 1e3:,.0f} kB"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=not number)
    return table


def show_why(told: Mapping[str, Any]) -> None:
    """Every record of a document: its fate first, then what decided it."""
    for record in told["quarantined"]:
        fate = "read without what it claims" if record["kept"] else "not read"
        place = f"{record['path']} at {record['offset']:,}"
        _say(f"{fate}: {place}, because of {record['reason']}; its beginning: {record['head']!r}")
    for document in told["documents"]:
        _say(f"{document['id']} {document['key']} ({document['source']})")
        _say(f"  {_fate(document)}")
        for name in ("date", "license", "repository"):
            if document[name]:
                _say(f"  {name}: {document[name]}")
        _say(f"  {document['bytes']:,} bytes: {document['excerpt']!r}")
        _show_rules(document["rules"])
        for line in _lines(document):
            _say(f"  {line}")
    for document in told["elsewhere"]:
        where = " ".join(document[name] for name in ("source", "path") if document[name])
        _say(f"{document['id']} {where}: corpus {told['corpus']} does not have it")
        for line in _held(document):
            _say(f"  {line}")
    looked = told["looked"]
    for one in looked["unreadable"]:
        _say(f"could not be looked at: {one['path']}, because: {one['reason']}")
    _say(
        f"looked through {looked['corpora']} corpora and the data of {looked['runs']} runs, below "
        f"{looked['folder']} and beside this corpus"
    )


def _fate(document: Mapping[str, Any]) -> str:
    decision = document["decision"]
    if decision["keep"]:
        return "kept"
    numbers = ""
    if decision["value"] is not None:
        numbers = f": {decision['value']:g}, the threshold is {decision['threshold']:g}"
    return f"dropped by {decision['rule']}{numbers}"


def _show_rules(rules: Sequence[Mapping[str, Any]]) -> None:
    table = _table("", "rule", "value", "at least", "at most", "verdict")
    for rule in rules:
        allowed = "" if rule["allowed"] is None else " or ".join(rule["allowed"])
        low = allowed or _plain(rule["low"])
        table.add_row(
            rule["rule"], _plain(rule["value"]), low, _plain(rule["high"]), rule["verdict"]
        )
    console.print(table)


def _plain(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def _lines(document: Mapping[str, Any]) -> list[str]:
    """Partners, hits, cuts, edits, and where the document went, a sentence each."""
    lines = []
    if (partner := document["duplicate"]) is not None:
        alike = "" if partner["similarity"] is None else f", similarity {partner['similarity']:.2f}"
        fate = {True: "kept", False: f"dropped by {partner['rule']}", None: "not here any more"}
        where = partner["key"] or f"of corpus {partner['corpus']}"
        lines.append(f"repeats {partner['id']} {where}{alike}; that one is {fate[partner['kept']]}")
    lines += [f"repeated by {one['id']} ({one['stage']})" for one in document["repeated_by"]]
    lines += [_hit(hit) for hit in document["contamination"]]
    lines += [f"cut, because it occurred before: {line.strip()[:80]!r}" for line in document["cut"]]
    lines += [f"edited ({e['kind']}) at {e['start']:,} to {e['end']:,}" for e in document["edits"]]
    return lines + _held(document)


def _held(document: Mapping[str, Any]) -> list[str]:
    """Which corpora and runs hold it."""
    lines = [f"in corpus {c['name']} ({c['folder']}){_by(c)}" for c in document["corpora"]]
    for run in document["runs"]:
        stages = f", read in {', '.join(run['stages'])}" if run["stages"] else ""
        lines.append(f"in run {run['run']}: {run['source']}, {run['part']}{stages}{_by(run)}")
    return lines


def _hit(hit: Mapping[str, Any]) -> str:
    share = f"{hit['share']:.0%} of it, {hit['how']}"
    return f"holds the {hit['part']} of {hit['suite']} {hit['item']}: {share}"


def _by(found: Mapping[str, Any]) -> str:
    return ", under another id" if found["by"] == "text" else ""


def _say(sentence: str) -> None:
    console.print(sentence, markup=False, soft_wrap=True)

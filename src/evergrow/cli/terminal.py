"""Where all commands print, for people and for machines, and how sizes are said."""

import json
import sys

from rich.console import Console

console = Console(highlight=False)
beside = Console(highlight=False, stderr=True)  # what is said while machines read the output


def print_json(record: object) -> None:
    """Plain data as JSON, for machines."""
    sys.stdout.write(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def megabytes(num_bytes: float) -> str:
    """Bytes in MB or GB, as a person reads them."""
    return f"{num_bytes / 1e6:,.0f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:,.1f} GB"


def rounded(value: float | None) -> str:
    """Three decimals; nothing for what was not measured."""
    return "" if value is None else f"{value:.3f}"

"""Where all commands print, and how sizes are said."""

from rich.console import Console

console = Console(highlight=False)


def megabytes(num_bytes: float) -> str:
    """Bytes in MB or GB, as a person reads them."""
    return f"{num_bytes / 1e6:,.0f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:,.1f} GB"


def rounded(value: float | None) -> str:
    """Three decimals; nothing for what was not measured."""
    return "" if value is None else f"{value:.3f}"

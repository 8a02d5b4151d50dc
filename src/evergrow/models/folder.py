"""What a model's folder is known by, from its names alone; imports no torch."""

from pathlib import Path

from evergrow.errors import InputError

ADAPTER = "adapter_config.json"


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter of peft and no whole model."""
    whole = ("model.safetensors", "model.safetensors.index.json")
    return (folder / ADAPTER).exists() and not any((folder / name).exists() for name in whole)


def refuse_no_model(folder: Path) -> None:
    """Raise InputError for a folder without a model's configuration."""
    if not (folder / "config.json").exists():
        raise InputError(f"{folder}: no model here (config.json is missing); give a model folder")

"""The files of a source: those that its globs match, by their names."""

from pathlib import Path

from evergrow.disk import checksum
from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
from evergrow.images.manifest import in_forms, manifest_path


def described_files(
    config: ImageSourceConfig, base: Path, source: str
) -> tuple[list[Path], Path | None]:
    """The files of a source in the order of their names, and its manifest.

    Raises InputError for globs that match nothing and for a manifest that is not there.
    """
    manifest = None if config.manifest is None else manifest_path(config.manifest, base, source)
    own = manifest and manifest.resolve()
    paths = match_images(config.images, base, source)
    return [path for path in paths if path.resolve() != own], manifest


def file_sums(config: ImageSourceConfig, base: Path, source: str) -> list[str]:
    """The checksums of a source's files and manifest, sorted; none when all files are gone.

    Raises InputError when some of its globs match nothing and others do.
    """
    if are_gone(config, base):
        return []
    paths, manifest = described_files(config, base, source)
    return sorted(checksum(path) for path in [*paths, *([manifest] if manifest else [])])


def are_gone(config: ImageSourceConfig, base: Path) -> bool:
    """Whether no file of a source is there, or it never had any."""
    return config.pictures is not None or not any(_matches(p, base) for p in config.images)


def match_images(patterns: list[str], base: Path, source: str) -> list[Path]:
    """The files that the globs match, sorted, each once; raises InputError for one without any."""
    found: set[Path] = set()
    for pattern in patterns:
        files = _matches(pattern, base)
        if not files:
            raise InputError(f"sources.{source}.images: {pattern!r} matches no file under {base}")
        found.update(files)
    return sorted(found)


def _matches(pattern: str, base: Path) -> list[Path]:
    """The files that a glob matches in any normal form; a name with brackets also as it is."""
    return next((found for form in in_forms(pattern) if (found := _matches_in(form, base))), [])


def _matches_in(pattern: str, base: Path) -> list[Path]:
    whole = base / Path(pattern).expanduser()
    parts = whole.parts
    wild = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), None)
    if wild is None or whole.is_file():
        return [whole] if whole.is_file() else []
    return [p for p in Path(*parts[:wild]).glob("/".join(parts[wild:])) if p.is_file()]


def name_of(path: Path, base: Path) -> str:
    """How a file is recorded: from the recipe's folder when it is inside."""
    return (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()

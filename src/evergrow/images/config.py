"""Where a source's pictures come from and what is done to make them one size; imports no numpy."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from evergrow.config import Config, Fraction, OneOrMore, PositiveCount
from evergrow.made import chosen

INTENTS = ("FOR PRESENTATION", "FOR PROCESSING")  # DICOM's PresentationIntentType
COLUMNS = ("image", "patient", "study", "site", "laterality", "view", "label", "split", "date")


class ImageSourceConfig(Config):
    """One named source of pictures: files, or pictures that an installed package has."""

    form: ClassVar[Literal["pictures"]] = "pictures"

    images: OneOrMore = Field(
        default=[],
        description="Globs of PNG, JPEG, TIFF, BMP, DICOM, .npz or .parquet files",
    )
    pictures: Literal["digits"] | None = Field(
        default=None, description="Pictures on every install with the extra vision: 8 x 8 digits"
    )
    manifest: str | None = Field(
        default=None,
        description="A CSV that says of each image (its path, relative to the CSV) what is known: "
        "columns image, patient, study, site, laterality, view, label, split, date",
    )
    columns: dict[str, str] = Field(
        default={},
        description="Where the manifest calls its columns otherwise, as {patient: Patient ID}; "
        "columns that are not named are then left alone",
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        default=",", description="What stands between the manifest's cells"
    )
    label_from: Literal["data", "folder"] = Field(
        default="data", description="data: manifest, .npz, Parquet; folder: the image's folder"
    )
    split_from: Literal["data", "folder"] = Field(
        default="data",
        description="data: manifest, .npz, Parquet; folder: the innermost folder that is called "
        "train, val, validation or test",
    )
    findings: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        min_length=1,
        description="What of several things a picture shows: columns of 1, 0, -1 (uncertain) or "
        "nothing; names among labels with | between them; of an .npz's labels [N, K] the names of "
        "all columns, or numbers of some. A single one is also a label: present or absent",
    )
    labels: list[str] | None = Field(
        default=None, min_length=1, description="Labels that may occur; another one is refused"
    )
    only: list[str] | None = Field(
        default=None, min_length=1, description="Keep only pictures of these labels"
    )
    size: PositiveCount | None = Field(
        default=None, description="Pixels a side after centre crop; default: all alike already"
    )
    channels: Literal[1, 3] = Field(default=1, description="1 grey, 3 colours")
    modalities: list[str] = Field(
        default=["CR", "DX"], min_length=1, description="DICOM modalities that are read"
    )
    views: list[str] | None = Field(
        default=None,
        min_length=1,
        description="Keep only pictures of these views (PA, AP ...), as header or manifest say",
    )
    intent: Literal["FOR PRESENTATION", "FOR PROCESSING"] | None = Field(
        default=None,
        description="Keep only DICOM that is meant so; what does not say is FOR PRESENTATION",
    )
    white: Annotated[int, Field(ge=256, le=65_535)] | None = Field(
        default=None, description="The value of white in files of 16 bits other than DICOM"
    )
    bits: Literal[8, 16] | None = Field(
        default=None, description="Bits a pixel that are kept; default: as the files have them"
    )
    duplicates: Literal["refuse", "drop"] = Field(
        default="refuse", description="What to do about pictures that occur twice, pixel by pixel"
    )
    returning: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="What to do about patients who are held out here and trained on in an earlier "
        "source, or the other way round",
    )
    max_bad: Fraction = Field(
        default=0.001, description="Stop when a larger share of the pictures cannot be read"
    )
    max_epochs: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Refuse to read the source more often"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.images) == (self.pictures is not None):
            found = "both" if self.images else "neither"
            raise ValueError(f"give either images (globs) or pictures: digits, got {found}")
        if self.pictures and (self.manifest or self.label_from == "folder"):
            raise ValueError("pictures: digits brings its own labels; remove manifest, label_from")
        if self.manifest and self.label_from == "folder":
            raise ValueError("label_from: folder and a manifest both give labels; keep one")
        if self.findings:
            _refuse_findings(self, self.findings)
        if not self.manifest and (self.columns or self.delimiter != ","):
            raise ValueError(
                "columns and delimiter are those of a manifest; name it or remove them"
            )
        if strange := set(self.columns) - set(COLUMNS):
            raise ValueError(f"columns: {min(strange)!r} is none of {', '.join(COLUMNS)}")
        if self.only and self.labels and (unknown := set(self.only) - set(self.labels)):
            raise ValueError(f"only: {min(unknown)!r} is not among labels {self.labels}")
        return self

    @property
    def content_settings(self) -> dict[str, object]:
        """What decides the pictures beside the files themselves; part of the data's key."""
        return chosen(self, {"images", "max_bad", "max_epochs", "returning"})


def _refuse_findings(config: ImageSourceConfig, findings: list[str]) -> None:
    """Raise ValueError for settings of a label where a picture has none, or has two."""
    if config.label_from == "folder":
        raise ValueError("label_from: folder and findings both give labels; keep one")
    if twice := [name for name in findings if findings.count(name) > 1]:
        raise ValueError(f"findings: {twice[0]!r} is there twice; keep one")
    if len(findings) > 1 and (config.only or config.labels):
        raise ValueError(
            "only and labels are for pictures of one label; remove them, or name one of findings"
        )
    if strange := set(findings) & (set(COLUMNS) - {"label"}):
        raise ValueError(f"findings: {min(strange)!r} is a column of another meaning; rename it")


class AugmentConfig(Config):
    """Random changes of a training picture, each drawn from a hash of seed and sample number."""

    crop: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0, description="least share of the area that a random crop keeps; 1: no crop"
    )
    flip: bool = Field(default=False, description="mirror left and right, every second picture")
    rotate: Annotated[float, Field(ge=0, le=180)] = Field(
        default=0.0, description="largest rotation, degrees"
    )
    blur: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="largest deviation of a Gaussian blur, pixels"
    )
    blank: Fraction = Field(default=0.0, description="share of pixels set to black")
    blank_pictures: Fraction = Field(default=0.1, description="share of pictures blanked so")
    cutmix: Fraction = Field(
        default=0.0, description="share of batches in which a box comes from another picture"
    )


Label = Annotated[str, Field(pattern=r"\S", description="Any text that is not blank")]
Labels = Annotated[list[Label], Field(min_length=2)]

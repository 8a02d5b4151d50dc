"""Tiny pictures and DICOM files for the tests."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from evergrow.images.config import ImageSourceConfig
from evergrow.images.picture import Picture
from evergrow.images.source import ImageReading, source_pictures


def noise(seed: int, height: int = 12, width: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **settings: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **settings)
    file.seek(0)
    return file


def write_png(path: Path, seed: int, **size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed, **size)).save(path)
    return path


def write_dicom(path: Path, pixels: np.ndarray, **header: Any) -> Path:
    """A computed radiograph; ``header`` adds or replaces elements."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), Dataset(), file_meta=meta, preamble=b"\0" * 128)
    given = {
        "SOPClassUID": ComputedRadiographyImageStorage,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "Modality": "CR",
        "PatientID": "DOE1234",
        "StudyInstanceUID": "1.2.3.4",
        "InstitutionName": "St Elsewhere",
        "StudyDate": "20200131",
        "ImageLaterality": "L",
        "PhotometricInterpretation": "MONOCHROME2",
        "SamplesPerPixel": 1,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelData": pixels.astype("<u2").tobytes(),
        **header,
    }
    for name, value in given.items():
        if value is not None:
            setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def read(base: Path, **settings: Any) -> tuple[list[Picture], ImageReading]:
    reading = ImageReading()
    config = ImageSourceConfig.model_validate({"images": ["*"], **settings})
    return list(source_pictures(config, base, "films", reading)), reading

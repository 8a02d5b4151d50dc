"""How long reading and auditing many pictures takes, and how much memory it holds.

    python benchmarks/many_pictures.py [--pictures 100000] [--size 28]

The pictures look alike, as radiographs do: one blurred field with small differences, so that there
are millions of near pairs. Made from a fixed seed in a folder for temporary files.
"""

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from evergrow.images.audit import audit, entry
from evergrow.images.config import ImageSourceConfig
from evergrow.images.source import ImageReading, source_pictures


def fields(draw: np.random.Generator, count: int, size: int) -> np.ndarray:
    """[count, size, size] smooth grey fields in [-1, 1]."""
    coarse = draw.uniform(-1, 1, (count, 6, 6)).astype(np.float32)
    shape = (size, size)
    large = [Image.fromarray(field).resize(shape, Image.Resampling.BICUBIC) for field in coarse]
    return np.stack([np.asarray(field) for field in large])


def write(path: Path, count: int, size: int) -> None:
    """An archive of so many pictures, made in parts."""
    draw = np.random.default_rng(0)
    common = fields(draw, 1, size)
    pixels = np.empty((count, size, size), np.uint8)
    for first in range(0, count, 1000):
        own = fields(draw, min(1000, count - first), size)
        grey = 128 + 80 * common + 32 * own + draw.normal(0, 3, own.shape)
        pixels[first : first + len(own)] = np.clip(grey, 0, 255)
    np.savez(path, images=pixels)


class Watched(threading.Thread):
    """The most anonymous memory that this process had, in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0

    def run(self) -> None:
        status = Path("/proc/self/status")
        while True:
            line = next(x for x in status.read_text().splitlines() if x.startswith("RssAnon"))
            self.peak = max(self.peak, int(line.split()[1]) // 1000)
            time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=28)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "films.npz", asked.pictures, asked.size)
        watched = Watched()
        watched.start()
        config = ImageSourceConfig(images=["films.npz"])
        started, before = time.monotonic(), time.process_time()
        pictures = source_pictures(config, folder, "films", ImageReading(), scratch=folder)
        entries = [entry(p, "held_out" if n % 10 == 0 else "train") for n, p in enumerate(pictures)]
        read, busy = time.monotonic(), time.process_time()
        found = audit(entries)
        wall = {"read": round(read - started, 1), "audit": round(time.monotonic() - read, 1)}
        spent = {"read": round(busy - before, 1), "audit": round(time.process_time() - busy, 1)}
        print(
            json.dumps(
                {
                    "pictures": len(pictures),
                    "seconds": wall,
                    "cpu_seconds": spent,
                    "near_pairs": found.near.num_pairs,
                    "peak_anonymous_mb": watched.peak,
                    "pixels_mb": sum(p.pixels.nbytes for p in pictures) // 1_000_000,
                }
            )
        )


if __name__ == "__main__":
    main()

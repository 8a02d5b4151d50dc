"""The licence of a source file: its own SPDX line, else the nearest licence file's."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

LICENCE_FILE = re.compile(r"(un)?licen[cs]es?([-_.].*)?|copying([-_.].*)?", re.IGNORECASE)
CODE = {".py", ".js", ".ts", ".go", ".rs", ".c", ".h", ".cc", ".cpp", ".java", ".rb", ".json"}
CODE |= {".yml", ".yaml", ".toml", ".xml", ".html", ".css", ".sh", ".png", ".svg"}
HEAD_BYTES = 2000  # where an SPDX line stands
MAX_LICENCE_BYTES = 2**18
_SPDX = re.compile(rb"SPDX-License-Identifier:[ \t]*([A-Za-z0-9.+() -]{1,120})")
_NOT_WORDS = re.compile(r"[^a-z0-9.]+")

# id -> (phrases that must all be there, words at least, words at most), in lower case, single
# spaces and no punctuation but dots inside words. The numbers of words keep out the many licences
# that say the same and more; the upper ones leave room for a page of copyright lines. A file of
# the GPL does not say whether "or later" was meant, so its id is the bare one.
_MIT = "permission is hereby granted free of charge to any person obtaining a copy of this software"
_MIT_END = "other dealings in the software"
_BSD = (
    "redistribution and use in source and binary forms with or without modification are permitted"
)
_BSD_END = "even if advised of the possibility of such damage"
_ISC = (
    "permission to use copy modify and or distribute this software for any purpose with or without"
)
RECOGNISED: dict[str, tuple[tuple[str, ...], int, int]] = {
    "AGPL-3.0": (("gnu affero general public license version 3 19 november 2007",), 5000, 5800),
    "LGPL-3.0": (("gnu lesser general public license version 3 29 june 2007",), 1000, 7100),
    "LGPL-2.1": (("gnu lesser general public license version 2.1 february 1999",), 3900, 4600),
    "LGPL-2.0": (("gnu library general public license version 2 june 1991",), 3700, 4400),
    "GPL-3.0": (("gnu general public license version 3 29 june 2007", "preamble"), 5000, 5900),
    "GPL-2.0": (("gnu general public license version 2 june 1991", "preamble"), 2500, 3150),
    "Apache-2.0": (
        ("apache license version 2.0 january 2004", "grant of patent license"),
        1300,
        1800,
    ),
    "MPL-2.0": (("mozilla public license version 2.0", "1.1 contributor means"), 2100, 2600),
    "EPL-2.0": (("eclipse public license v 2.0", "secondary license"), 2000, 2300),
    "EPL-1.0": (("eclipse public license v 1.0", "agreement steward"), 1600, 1900),
    "CC0-1.0": (("cc0 1.0 universal", "affirmer"), 950, 1200),
    "CC-BY-4.0": (("attribution 4.0 international", "licensed material"), 2350, 2800),
    "CC-BY-SA-4.0": (("attribution sharealike 4.0 international", "adapter s license"), 2550, 3000),
    "BSL-1.0": (("boost software license version 1.0 august 17th 2003",), 200, 280),
    "Unlicense": (
        ("this is free and unencumbered software released into the public domain", "unlicense"),
        180,
        230,
    ),
    "WTFPL": (("do what the fuck you want to public license version 2 december 2004",), 60, 110),
    "Zlib": (
        (
            "provided as is without any express or implied warranty in no event will the authors",
            "altered source versions must be plainly marked as such and must not be misrepresented",
            "this notice may not be removed or altered from any source distribution",
        ),
        115,
        170,
    ),
    "MIT": (
        (_MIT, "the above copyright notice and this permission notice shall be included", _MIT_END),
        145,
        235,
    ),
    "MIT-0": ((_MIT, "the software is provided as is", _MIT_END), 125, 165),
    "BSD-3-Clause": (
        (
            _BSD,
            "redistributions in binary form must reproduce",
            "promote products derived from this software without specific prior written permission",
            _BSD_END,
        ),
        205,
        300,
    ),
    "BSD-2-Clause": ((_BSD, "redistributions in binary form must reproduce", _BSD_END), 170, 245),
    "ISC": (
        (
            _ISC,
            "provided that the above copyright notice and this permission notice appear in all",
            "use or performance of this software",
        ),
        95,
        170,
    ),
    "0BSD": ((_ISC, "fee is hereby granted", "use or performance of this software"), 80, 125),
}

# Clauses of other licences that otherwise read like MIT, BSD and Zlib: JSON, BSD-4-Clause and its
# kin, BSD-3-Clause-Clear, X11, MIT-feh.
OTHERS = (
    "used for good",
    "advertising material",
    "following acknowledg",
    "party s patent",
    "nuclear",
)
OTHERS += ("except as contained in this notice", "in advertising or", "unmodified form")
OTHERS += ("official policies", "substantially similar")
SHORT_WORDS = 320  # they matter in licences of at most so many


def own_licence(head: bytes) -> str | None:
    """The expression on a file's own ``SPDX-License-Identifier`` line, None without one."""
    match = _SPDX.search(head[:HEAD_BYTES])
    return match[1].decode().strip() or None if match else None


def recognised_licence(text: str) -> str | None:
    """The SPDX id of a licence's whole text; None when it is none of the common ones."""
    words = [word.strip(".") for word in _NOT_WORDS.sub(" ", text.lower()).split()]
    plain = " ".join(filter(None, words))
    if len(words) <= SHORT_WORDS and any(clause in plain for clause in OTHERS):
        return None
    for name, (phrases, least, most) in RECOGNISED.items():
        if least <= len(words) <= most and all(phrase in plain for phrase in phrases):
            return name
    return None


def licence_files(names: Iterable[str]) -> dict[str, list[str]]:
    """Folder -> the licence files in it, sorted; "" is the top, paths are relative to it."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        path = PurePosixPath(name)
        if LICENCE_FILE.fullmatch(path.name) and path.suffix.lower() not in CODE:
            folder = path.parent.as_posix()
            found.setdefault("" if folder == "." else folder, []).append(name)
    return found


def nearest_licence_files(name: str, files: dict[str, list[str]]) -> list[str]:
    """The licence files of the folder that is nearest above a file; none when there are none."""
    folders = [p.as_posix() for p in PurePosixPath(name).parents]
    return next((files[f] for f in (*folders[:-1], "") if f in files), [])

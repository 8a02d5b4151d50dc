"""How a chunk of text without white space falls into words, by the rules of spaCy's English.

Affixes are peeled off until nothing but a known word, an address or a core is left; the core falls
apart at infixes. What is written together and is not punctuation stays together: ``U.S.``,
``e.g.``, ``10:30``, ``3.14``, addresses. ``do n't``, ``it 's`` and ``5 km`` are two words.
"""

# ruff: noqa: RUF001, SIM905 -- quotes of all kinds are the subject; lists of words read as words
import re
from collections.abc import Iterator

QUOTES = "'\"”“`‘´’‚„»«「」『』（）〔〕【】《》〈〉⟦⟧"
MARKS = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪" + QUOTES
SYMBOLS = (  # dingbats, arrows, frames, emoji: as ranges of a character class
    "¦©®°℀℁℃-℆№℗℞-℣℥℧℩↕-↙↜-⇿⌀-⌇⌌-⌟⌢-⌨⌫-⏿①-ⓩ─-▶▸-◀◂-◷☀-♮♰-❧➔-➿⬀-⯿〒〓〠\U0001f000-\U0001faff"
)
CURRENCIES = "$£€¥฿₠-₿"
UNITS = (
    "km/h km² km³ km kmh m/s m² m³ mm² mm³ mm mg mb mbar mph m dm² dm³ dm cm² cm³ cm ha hPa Pa µm "
    "µg nm yd in ft kg g t lb oz MB kb KB gb GB tb TB T G M K %"
).split()
LOWER = "a-zß-öø-ÿāăąćčďđēęěğīłńňőœřśşšťūůűźžαβ-ωάέίόώήύа-яё"
UPPER = "A-ZÀ-ÖØ-ÞĀĂĄĆČĎĐĒĘĚĞĪŁŃŇŐŒŘŚŞŠŤŪŮŰŹŽΑ-ΩΆΈΊΌΏΉΎА-ЯЁ"
LETTER = r"[^\W\d_]"

_marks, _quotes = re.escape(MARKS), re.escape(QUOTES)
_units = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
_PREFIX = re.compile(r"\.\.+|(?:US|C|A)\$|\+(?![0-9])|……?")
_PREFIX_BEGINS = frozenset(".UCA+…")
_SYMBOL = re.compile(rf"[{SYMBOLS}]")
_SYMBOLS = frozenset(c for c in map(chr, range(0x1FB00)) if _SYMBOL.match(c))
_LAST = _SYMBOLS.union(MARKS, "—–")
_FIRST = _LAST.union("§%=", CURRENCIES[:5], map(chr, range(0x20A0, 0x20C0))) - {"…"}
_COMMON_ENDS = frozenset(",.;:!?)\"”'")
_COARSE = re.compile(r"\w+|\W")
MAX_PEELED = 2000  # characters; peeling takes quadratic time, and nothing so long is a word
_SUFFIX = re.compile(  # for chunks that end in neither a mark nor a symbol
    rf"(?:['’][sS]|(?<=[0-9])(?:\+|(?:US|C|A)?[{re.escape(CURRENCIES[0])}{CURRENCIES[1:]}]"
    rf"|{_units})|(?<=[0-9{LOWER}%²\-+|{_marks}])\.|(?<=[{UPPER}][{UPPER}])\.)\Z"
)
_SUFFIX_ENDS = frozenset("sS.+$£€¥%²³" + "".join(unit[-1] for unit in UNITS))
_INFIX = re.compile(  # begins with one class, so that the search runs over the rest at full speed
    rf"([-./:,=<>+*^~–—…{SYMBOLS}](?:(?={LETTER})(?:(?<=[^\W_][-–—~:<>=/])|(?<={LETTER},)"
    rf"|(?<=[{LOWER}{_quotes}]\.)(?=[{UPPER}]))|(?<=\.)(?:\.+|(?=[{_quotes}])(?<=[{LOWER}{_quotes}].))"
    rf"|(?<=[0-9][+*^-])(?=[0-9-])|(?<=[^\W_]-)--?(?={LETTER})|(?<=[^\W_]—)—(?={LETTER})"
    rf"|(?<=[…{SYMBOLS}])))"
)
_HOST = (
    rf"(?:[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}|(?:(?:[^\W_][\w\-]{{0,62}})?[^\W_]\.)+[{LOWER}]{{2,63}})"
    r"(?::[0-9]{2,5})?(?:[/?#]\S*)?\Z"
)
_ADDRESS = re.compile(r"(?:[\w+\-.]{2,}://)?" + _HOST)
_ADDRESS_OF_USER = re.compile(r"(?:[\w+\-.]{2,}://)?(?:\S+@)?" + _HOST)


def split_chunk(chunk: str) -> list[str]:
    """The words of a chunk that holds no white space; together they are the chunk."""
    if chunk in EXCEPTIONS:
        return EXCEPTIONS[chunk]
    if chunk.isalpha():
        return [chunk]
    head, last = chunk[:-1], chunk[-1]
    if last in _COMMON_ENDS and head.isalpha() and (last != "." or not head[-1].isupper()):
        return [*EXCEPTIONS.get(head, (head,)), last]
    if len(chunk) > MAX_PEELED:
        return _COARSE.findall(chunk)
    return _peel(chunk)


def _peel(chunk: str) -> list[str]:
    before, after = [], []
    while chunk not in EXCEPTIONS:
        if size := _prefix_size(chunk):
            before.append(chunk[:size])
            chunk = chunk[size:]
        elif size := _suffix_size(chunk):
            after.append(chunk[-size:])
            chunk = chunk[:-size]
        else:
            break
    return [*before, *_core(chunk), *reversed(after)]


def _prefix_size(chunk: str) -> int:
    first = chunk[:1]
    if first in _FIRST:
        return 1
    found = _PREFIX.match(chunk) if first in _PREFIX_BEGINS else None
    return found.end() if found else 0


def _suffix_size(chunk: str) -> int:
    last = chunk[-1:]
    if last in _LAST:
        return 1
    if last not in _SUFFIX_ENDS:
        return 0
    if chunk.endswith(".."):
        return len(chunk) - len(chunk.rstrip("."))
    found = _SUFFIX.search(chunk, max(0, len(chunk) - 8))
    return len(found[0]) if found else 0


def _core(chunk: str) -> list[str]:
    """What is left without affixes: a known word, an address, or parts between infixes."""
    if chunk in EXCEPTIONS:
        return EXCEPTIONS[chunk]
    if not chunk or chunk.isalnum():
        return [chunk] if chunk else []
    if "." in chunk and (_ADDRESS_OF_USER if "@" in chunk else _ADDRESS).match(chunk):
        return [chunk]
    parts = _INFIX.split(chunk)
    return parts if all(parts) else list(filter(None, parts))


def _contractions() -> Iterator[tuple[str, ...]]:
    """Words written together with their verb or negation, lower-case, with apostrophes."""
    for word in "i you he she it we they".split():
        yield from ((word, end) for end in ("'ll", "'d"))
        yield from ((word, end, "'ve") for end in ("'ll", "'d"))
    yield from ((word, "'ve") for word in "i you we they".split())
    yield from ((word, "'re") for word in "you we they".split())
    yield from ((word, "'s") for word in "he she it".split())
    yield from (("i", "'m"), ("i", "'m", "a"), ("c'm", "on"), ("y'", "all"), ("let", "'s"))
    for word in "who what when where why how there that this these those".split():
        yield from ((word, end) for end in ("'ll", "'d", "'ve", "'re", "'s"))
        yield from ((word, end, "'ve") for end in ("'ll", "'d"))
    for word in "ca could do does did had may might must need ought sha should wo would".split():
        yield from ((word, "n't"), (word, "n't", "'ve"))
    yield from ((word, "n't") for word in "ai are is was were have has dare".split())
    yield from ((word, "'ve") for word in "could might must should would not".split())


_NOT_CONTRACTED = frozenset("ill its hell shell shed were well whore".split())
_TOGETHER = (("can", "not"), ("gon", "na"), ("got", "ta"))
_SINGLE = (
    "Adm. Ak. Ala. Apr. Ariz. Ark. Aug. Bros. Calif. Co. Colo. Conn. Corp. D.C. Dec. Del. Dr. E.G. "
    "E.g. Feb. Fla. Ga. Gen. Gov. I.E. I.e. Ia. Id. Ill. Inc. Ind. Jan. Jr. Jul. Jun. Kan. Kans. "
    "Ky. La. Ltd. Mar. Mass. Md. Messrs. Mich. Minn. Miss. Mo. Mont. Mr. Mrs. Ms. Mt. N.C. N.D. "
    "N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov. Oct. Okla. Ore. Pa. Ph.D. Prof. Rep. Rev. S.C. Sen. "
    "Sep. Sept. St. Tenn. Va. Wash. Wis. a.m. p.m. co. e.g. i.e. v.s. vs. and/or w/o C++ — ' '' ’’ "
    "'S 's 'd 'll 're ’S ’s ’d ’ll ’re ‘S ‘s ’ :) :( ;) :-) :-( ;-) :D :P :p :/ =) <3 ^_^ (: (;"
).split()
_CUT_SHORT = "'bout 'cause 'cos 'coz 'cuz 'em 'nuff doin' goin' havin' lovin' nothin' nuthin' ol' "
_CUT_SHORT += "somethin' ma'am o'clock"


def _spellings(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """As it is and with a capital; with either apostrophe."""
    first = words[0][:1].upper() + words[0][1:]
    for spelt in (words, (first, *words[1:])):
        yield spelt
        yield tuple(word.replace("'", "’") for word in spelt)


def _exceptions() -> Iterator[tuple[str, ...]]:
    for words in (*_contractions(), *_TOGETHER):
        yield from _spellings(words)
        bare = tuple(word.replace("'", "") for word in words)
        if "".join(bare) not in _NOT_CONTRACTED and words[0] not in ("c'm", "y'", "let"):
            yield from _spellings(bare)
    for hour in range(1, 13):
        yield from ((str(hour), half) for half in ("am", "pm", "a.m.", "p.m."))
    for letter in "abcdefghijklmnopqrstuvwxyzäöü":
        yield (letter + ".",)
    yield from ((word,) for word in _SINGLE)
    for word in _CUT_SHORT.split():
        yield from _spellings((word,))


EXCEPTIONS = {"".join(words): list(words) for words in _exceptions()}

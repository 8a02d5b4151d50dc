"""Telephone, card and account numbers, by their forms and check digits."""

import re
from collections.abc import Iterator

Span = tuple[int, int]
_PHONE = re.compile(  # with a country's code, or as North America writes its own
    r"\+(?<![\w+.]\+)(?![0-9]\.[0-9]{5})[1-9](?:[ .()/-]{0,2}[0-9]){7,14}(?![0-9])"
    r"|\((?<![\w.+-]\()[2-9][0-9]{2}\) ?[0-9]{3}[ .-][0-9]{4}(?![\w-]|\.[0-9])"
    r"|(?<![\w.+/=-])[2-9][0-9]{2}([.-])[0-9]{3}\1[0-9]{4}(?![\w-]|\.[0-9])"
)
_CARD = re.compile(  # in one run of digits, or in groups as they are printed
    r"(?<![\w.+/=#-])(?<![0-9A-F][ -])(?:[2-6][0-9]{12,18}|[2-6][0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1"
    r"[0-9]{4}(?:\1[0-9]{1,3})?|3[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5})(?![\w-]|[ .][0-9])"
)
_CARDS = (  # issuers' first digits and lengths, ISO/IEC 7812
    re.compile(r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"),
    re.compile(r"(?:5[1-5]|2[2-7])[0-9]{14}"),
    re.compile(r"3[47][0-9]{13}"),
    re.compile(r"3[068][0-9]{12}|35[0-9]{14}"),
    re.compile(r"6[0-9]{15,18}"),
)
_IBAN = re.compile(r"[A-Z]{2}(?<![A-Z0-9]..)[0-9]{2}(?: ?[A-Z0-9]){11,30}")
_LENGTHS = (  # of account numbers by country, ISO 13616
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 "
    "DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 "
    "HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 "
    "MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 "
    "RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 "
    "VG24 XK20 YE30 "
)
LENGTHS = {entry[:2]: int(entry[2:]) for entry in _LENGTHS.split()}


def phones(text: str) -> Iterator[Span]:
    """Telephone numbers with a country's code, +49 30 1234567, and North American ones."""
    return (match.span() for match in _PHONE.finditer(text))


def cards(text: str) -> Iterator[Span]:
    """Numbers of payment cards: an issuer's digits, its length, and Luhn's check digit."""
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if any(form.fullmatch(digits) for form in _CARDS) and _luhn(digits):
            yield match.span()


def _luhn(digits: str) -> bool:
    """From the right every second digit counts double, 10 and more by the sum of its digits."""
    doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0


def ibans(text: str) -> Iterator[Span]:
    """Account numbers of their country's length whose check digits are right: 97 divides them."""
    for match in _IBAN.finditer(text):
        length = LENGTHS.get(match[0][:2], 0)
        places = [place for place in range(*match.span()) if text[place] != " "][:length]
        if length and len(places) == length:
            number = "".join(text[place] for place in places)
            end = places[-1] + 1
            if not text[end : end + 1].isalnum() and _remainder(number) == 1:
                yield match.start(), end


def _remainder(number: str) -> int:
    """Modulo 97, the country and check digits behind the rest, A to Z as 10 to 35."""
    return int("".join(str(int(c, 36)) for c in number[4:] + number[:4])) % 97

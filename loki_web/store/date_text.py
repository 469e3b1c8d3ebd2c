"""Parse the output of `date`, which the runner writes into its logs, in all usual locales."""

import re
import time
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

# Hours from UTC of the abbreviations that `date` prints. If an abbreviation has two meanings, this
# is the more common one; the abbreviations of this machine's zone take precedence.
_HOURS: dict[float, str] = {
    0: "Z UTC GMT WET",
    1: "CET MET BST WEST WAT",
    2: "CEST MEST EET SAST CAT",
    3: "EEST MSK IDT EAT",
    5: "PKT",
    5.5: "IST",
    7: "WIB",
    8: "HKT AWST WITA PHT",
    9: "JST KST WIT",
    9.5: "ACST",
    10: "AEST CHST",
    10.5: "ACDT",
    11: "AEDT",
    12: "NZST",
    13: "NZDT",
    -2.5: "NDT",
    -3: "ADT",
    -3.5: "NST",
    -4: "AST EDT",
    -5: "EST CDT",
    -6: "CST MDT",
    -7: "MST PDT",
    -8: "PST AKDT",
    -9: "AKST",
    -10: "HST",
    -11: "SST",
}
ZONES = {name: hours for hours, names in _HOURS.items() for name in names.split()}
_CHINA = ("CST", 8)
# How names of months begin, without accents, in the locales of western, northern and central
# Europe, Russia and Turkey.
_MONTHS = {
    beginning: number
    for number, beginnings in enumerate(
        (
            "jan ene gen янв sty led oca ian",
            "feb fev фев lut uno sub",
            "mar mrt mrz мар bre",
            "apr abr avr апр kwi dub nis",
            "may mai mei maj mag мая маи kve",
            "jun juin giu июн cze cen haz",
            "jul juil lug июл lip cec tem",
            "aug ago aou авг sie srp agu",
            "sep set сен wrz zar eyl sze",
            "oct okt ott out окт paz rij eki",
            "nov ноя lis kas",
            "dec dez dic des дек gru pro ara",
        ),
        start=1,
    )
    for beginning in beginnings.split()
}
_CLOCK = re.compile(
    r"(?<![\d:])(\d{1,2}):(\d{2}):(\d{2})(?: ?([AaPp])\.?[Mm]\.?)?"
    r" ([A-Z]{2,5}|[+-]\d{2}(?::?\d{2})?)(?![\w:])"
)
_YEAR = re.compile(r"(?<!\d)(\d{4})(?!\d)")
_NUMERIC = re.compile(r"(\d{4})[年년.] *(\d{1,2})[月월.] *(\d{1,2})[日일.]")
_WORD = re.compile(r"[^\W\d_]+")
_DAY = re.compile(r"(?<!\d)(\d{1,2})(?!\d)")
_MAX_LENGTH = 80


def parse_date_text(text: str) -> datetime | None:
    """Return the instant of the output of `date`; None for other text and unknown zones.

    :raises ValueError: if the day or time does not exist.
    """
    clock = _CLOCK.search(text) if len(text) <= _MAX_LENGTH else None
    if clock is None:
        return None
    numeric = _NUMERIC.search(text)
    if numeric:
        year, month, day = map(int, numeric.groups())
    else:
        date = _find_date(text[: clock.start()], text[clock.end() :])
        if date is None:
            return None
        year, month, day = date
    hour, minute, second = (int(digits) for digits in clock.groups()[:3])
    if clock[4]:
        hour = hour % 12 + (12 if clock[4] in "Pp" else 0)
    hours = _CHINA[1] if numeric and clock[5] == _CHINA[0] else None
    offset = find_offset(clock[5]) if hours is None else timedelta(hours=hours)
    if offset is None:
        return None
    zone = timezone(offset)
    return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)


def find_offset(zone: str) -> timedelta | None:
    """Return the difference of a zone from UTC; None for an abbreviation that is not known."""
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
        return -offset if zone[0] == "-" else offset
    if zone in time.tzname:
        seconds = time.timezone if zone == time.tzname[0] else time.altzone
        return timedelta(seconds=-seconds)
    hours = ZONES.get(zone)
    return None if hours is None else timedelta(hours=hours)


def _find_date(before: str, after: str) -> tuple[int, int, int] | None:
    """Return year, month and day; the first word, a weekday, may look like a month."""
    year = _YEAR.search(after) or _YEAR.search(before)
    day = _DAY.search(before)
    words = [unicodedata.normalize("NFKD", word.lower()) for word in _WORD.findall(before)[1:]]
    plain = ["".join(c for c in word if not unicodedata.combining(c)) for word in words]
    months = (_MONTHS.get(word[:4]) or _MONTHS.get(word[:3]) for word in plain)
    month = next(filter(None, months), None)
    return (int(year[1]), month, int(day[1])) if year and day and month else None

"""How far back a request looks: `90m`, `24h`, `7d`, where `m` is minutes."""

import re
from datetime import datetime, timedelta

from loki_web.errors import BadRequest

PATTERN = "^[0-9]{1,4}[hdm]$"
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "m": timedelta(minutes=1)}


def beginning(time_range: str, now: datetime) -> datetime:
    """The oldest instant that lies in the range.

    :raises BadRequest: unless it is one to four digits, not zero, and a unit.
    """
    if not re.fullmatch(PATTERN, time_range) or not int(time_range[:-1]):
        raise BadRequest("timeRange must be a number from 1 to 9999 and h, d or m, such as 24h")
    return now - int(time_range[:-1]) * _UNITS[time_range[-1]]

"""The clock of the demo: behind the real one while the hours before its start are written."""

from datetime import UTC, datetime, timedelta

_behind = timedelta()


def rewind(hours: float) -> None:
    """Set the clock back."""
    global _behind
    _behind = timedelta(hours=hours)


def is_past() -> bool:
    """Return whether the clock is behind the real time."""
    return _behind > timedelta()


def skip(seconds: float) -> None:
    """Let time pass at once, until the present at most."""
    global _behind
    _behind = max(timedelta(), _behind - timedelta(seconds=seconds))


def now() -> datetime:
    """Return the time of the demo, in UTC."""
    return datetime.now(UTC) - _behind

"""Helpers that format episodes, patterns and skills for clients."""

import os
from datetime import datetime
from typing import Any

from loki_web.services.ids import Identities, is_identifier
from loki_web.services.redaction import redact, redact_within
from loki_web.store.coerce import Json, texts_in
from loki_web.store.times import UNKNOWN, sort_key, tidy_time

_TIMES = frozenset(
    (
        *("timestamp", "created_at", "updated_at", "last_updated", "lastUpdated"),
        *("last_used", "last_accessed", "started_at"),
    )
)


def clean_value(value: Any) -> Any:
    """Return a redacted copy of a stored JSON value, its times in ISO 8601."""
    return _tidy_times(redact_within(value))


def get_own_id(entry: Json) -> str | None:
    """Return the id stored in an entry, None if it is not usable in a URL or is a secret."""
    value = entry.get("id")
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if is_identifier(text) and redact(text) == text else None


def get_file_id(path: str) -> str:
    """Return the id of an entry that stores none: the file's stem, else a hash of its path."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return get_own_id({"id": stem}) or Identities("file").assign(None, path)


def get_latest_time(entry: Json, *keys: str) -> datetime:
    """Return the latest of the times under these keys; UNKNOWN, the oldest, without any."""
    return max((sort_key(entry.get(key)) for key in keys), default=UNKNOWN)


def as_texts(value: Any) -> list[str]:
    """Return a list of texts, also if a single text is stored."""
    return [value] if isinstance(value, str) and value.strip() else texts_in(value)


def join_texts(value: Any) -> str:
    """Return all texts in a stored value, joined in one line."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, map(join_texts, value)))
    if isinstance(value, dict):
        return " ".join(filter(None, map(join_texts, value.values())))
    return ""


def _tidy_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_tidy_times(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: tidy_time(item)
        if key in _TIMES and isinstance(item, str | int | float)
        else _tidy_times(item)
        for key, item in value.items()
    }

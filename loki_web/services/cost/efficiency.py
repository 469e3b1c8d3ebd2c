"""The efficiency files: tokens and cost of one iteration each (docs/files.md, section 10.1)."""

from typing import Any

from loki_web.services.context import Sources
from loki_web.services.redaction import redact_name
from loki_web.store.coerce import Json, as_amount, first_text
from loki_web.store.collection import Collection
from loki_web.store.times import tidy_time

UNKNOWN = "unknown"
_NUMBERS = (
    *("iteration", "cost_usd"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"),
)
_FIELDS = ("model", "phase", "timestamp", *_NUMBERS)


def get_collection(sources: Sources) -> Collection:
    """Return the collection of efficiency files."""
    return sources.project.collection("metrics/efficiency", digest=_make_digest)


def unpack(digest: tuple[Any, ...]) -> Json:
    """Return the fields of a record from a value of the collection."""
    return dict(zip(_FIELDS, digest, strict=True))


def _make_digest(record: Any) -> tuple[Any, ...] | None:
    """Return the fields that are used of an efficiency record, None for a malformed file."""
    if not isinstance(record, dict):
        return None
    return (
        redact_name(first_text(record.get("model"), default=UNKNOWN)),
        redact_name(first_text(record.get("phase"), default=UNKNOWN)),
        tidy_time(record.get("timestamp")),
        *(as_amount(record.get(name)) for name in _NUMBERS),
    )

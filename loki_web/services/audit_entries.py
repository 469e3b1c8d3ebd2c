"""The entries in the files of the audit log, newest first; lines that are none are left out."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from loki_web.services.audit_chain import HASH
from loki_web.services.audit_files import AuditFile
from loki_web.services.redaction import redact
from loki_web.store import json_text
from loki_web.store.coerce import Json, as_dict, first_text
from loki_web.store.folder import Folder
from loki_web.store.times import UNKNOWN, parse_time, tidy_time

_OPTIONAL = ("resource_id", "user_id", "token_id", "ip_address", "user_agent", "error")


def entries_of(user: Folder, file: AuditFile, wanted: dict[str, str]) -> Iterator[Json]:
    """The entries of a file, newest first.

    :param wanted: keys and the texts that they must have.
    """
    for line in user.lines_backwards(file.path, holding=_marks(wanted)):
        try:
            entry = json_text.parse(line)
        except json_text.Damaged:
            continue
        if _is_entry(entry) and all(entry.get(key) == value for key, value in wanted.items()):
            yield entry


def moment(entry: Json) -> datetime:
    return parse_time(entry.get("timestamp")) or UNKNOWN


def shown(entry: Json) -> Json:
    """The documented fields with their types, and the entry's hash where it has one."""
    found: Json = {
        "timestamp": tidy_time(entry["timestamp"]),
        "action": entry["action"],
        "resource_type": first_text(entry.get("resource_type")),
        **{key: _text_or_none(entry.get(key)) for key in _OPTIONAL},
        "success": entry.get("success") is not False,
        "details": as_dict(entry.get("details")),
    }
    if isinstance(entry.get(HASH), str):
        found[HASH] = entry[HASH]
    return found


def _marks(wanted: dict[str, str]) -> tuple[re.Pattern[bytes], ...]:
    """What stands in every line that can match, so that the others need not be parsed."""
    written = {json.dumps(key): json.dumps(value) for key, value in wanted.items()}
    return tuple(
        re.compile(rf"{re.escape(key)}\s*:\s*{re.escape(value)}".encode())
        for key, value in written.items()
    )


def _is_entry(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("action"), str)
        and isinstance(value.get("timestamp"), str)
        and parse_time(value["timestamp"]) is not None
    )


def _text_or_none(value: Any) -> str | None:
    return redact(value) if isinstance(value, str) else None

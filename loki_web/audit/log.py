"""The audit log is written here: who did what, from where, and how it ended."""

import logging
from dataclasses import asdict, dataclass, field
from datetime import datetime

from loki_web.errors import StorageError
from loki_web.services import audit_chain, audit_files
from loki_web.services.audit_files import FOLDER, LOCK
from loki_web.services.context import Sources
from loki_web.services.redaction import redact
from loki_web.store.coerce import Json
from loki_web.store.times import isoformat

MAX_TEXT = 500
_LOCK_SECONDS = 5.0
_BYTES_OF_MB = 1024 * 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """What happened. Texts are cut at MAX_TEXT characters and secrets are taken out of them."""

    action: str
    resource_type: str
    resource_id: str | None = None
    user_id: str | None = None
    token_id: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    success: bool = True
    error: str | None = None
    details: Json = field(default_factory=dict)


def record(src: Sources, event: Event) -> Json | None:
    """Append an event to the log, chained to what any process wrote last.

    What was done has been done: where the log cannot be written, that is logged as an error and
    nothing else fails.

    :return: the entry as it stands in the log; None where recording is off or failed.
    """
    if not src.settings.audit_recorded:
        return None
    now = src.now()
    entry = {"timestamp": isoformat(now), **_tidied(event)}
    try:
        src.user.make_private(FOLDER)
        with src.user.locked(LOCK, seconds=_LOCK_SECONDS):
            return _append(src, entry, now)
    except StorageError as error:
        log.error("no audit entry for %s %s: %s", event.action, event.resource_type, error.detail)
        return None


def _append(src: Sources, entry: Json, now: datetime) -> Json:
    file = audit_files.current(now)
    if not src.settings.audit_no_integrity:
        # From the files each time: other processes, also of the old server, write here too.
        previous = audit_chain.last_hash(src.user)
        entry = {**entry, audit_chain.HASH: audit_chain.entry_hash(previous, entry)}
    _rotate_if_full(src, now)
    src.user.append_json_line(file.path, entry)
    return entry


def _rotate_if_full(src: Sources, now: datetime) -> None:
    file = audit_files.current(now)
    version = src.user.version(file.path)
    if version is None or version.size < src.settings.audit_max_size_mb * _BYTES_OF_MB:
        return
    name = audit_files.rotated_name(src.user, file, now)
    if name is None:
        return
    src.user.rename(file.path, name)
    _delete_oldest(src)


def _delete_oldest(src: Sources) -> None:
    """Keep as many files as the settings say, in the order of the chain.

    By time of modification a file that somebody touched would leave a gap in the middle.
    """
    files = audit_files.audit_files(src.user)
    surplus = files[: max(0, len(files) - src.settings.audit_max_files)]
    if not surplus:
        return
    audit_chain.keep_anchors(src.user, surplus)
    for file in surplus:
        src.user.remove(f"{FOLDER}/{file.name}")


def _tidied(event: Event) -> Json:
    return {key: _cut(value) for key, value in asdict(event).items()}


def _cut(value: object) -> object:
    if isinstance(value, str):
        return redact(value)[:MAX_TEXT]
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value[:100]]
    return value

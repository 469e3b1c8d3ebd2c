"""The key of the audit log and the signed end of its chain, both outside of the log's folder.

Each hash of the chain covers all entries before it, so the signature of the last one proves them
all. Somebody who can write to the log's folder but cannot read the key can neither add nor remove
an entry without being noticed.
"""

import hashlib
import hmac
import json
import logging
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from loki_web.services.context import Sources
from loki_web.store import atomic, files
from loki_web.store.coerce import Json, as_dict

_MIN_KEY_BYTES = 16
_MAX_BYTES = 4096
_PRIVATE = 0o600

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class End:
    """The signed end of the chain.

    :param start: the last hash when the key was first used; older entries are not proven.
    :param last: the hash of the last entry.
    :param pending: the hash of an entry that is being appended, else "".
    """

    start: str
    last: str
    pending: str = ""


class Seal:
    """Signs anchors and the end of the log.

    :param path: of the key file; the end is stored beside it.
    """

    def __init__(self, key: bytes, path: Path) -> None:
        self._key = key
        self._end = path.with_name(f"{path.name}.end")

    def read_end(self) -> End | None:
        """Return the stored end; None if it is missing or not signed with this key."""
        try:
            data, _ = files.read(self._end.parent, self._end.name, _MAX_BYTES)
            content = as_dict(json.loads(data))
            end = End(*(str(content.get(name)) for name in ("start", "last", "pending")))
        except (OSError, ValueError, RecursionError):
            return None
        return end if self._is_signed(content, *asdict(end).values()) else None

    def write_end(self, end: End) -> None:
        """Store the end.

        :raises OSError: if it cannot be written.
        """
        content = {**asdict(end), "mac": self._sign(*asdict(end).values())}
        atomic.write_whole(str(self._end), json.dumps(content).encode(), _PRIVATE)

    def sign_anchor(self, file: str, last_hash: str) -> Json:
        """Return the anchor of a file that is about to be deleted."""
        return {"file": file, "hash": last_hash, "mac": self._sign("anchor", file, last_hash)}

    def has_signed(self, anchor: Json) -> bool:
        """Return whether an anchor is signed with this key."""
        return self._is_signed(anchor, "anchor", anchor["file"], anchor["hash"])

    def _is_signed(self, content: Json, *texts: str) -> bool:
        mac = str(content.get("mac")).encode("utf-8", "surrogatepass")
        return hmac.compare_digest(mac, self._sign(*texts).encode())

    def _sign(self, *texts: str) -> str:
        message = "\0".join(texts).encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def open_seal(sources: Sources) -> Seal | None:
    """Return the seal of the audit log; None if the key cannot be read."""
    path = sources.settings.audit_key
    try:
        data, _ = files.read(path.parent, path.name, _MAX_BYTES)
    except OSError:
        return None
    key = data.strip()
    return Seal(key, path) if len(key) >= _MIN_KEY_BYTES else None


def create_seal(sources: Sources) -> Seal | None:
    """Return the seal, or None as `open_seal`. Create a missing key, with mode 0600."""
    path = sources.settings.audit_key
    if not os.path.lexists(path):
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic.write_whole(str(path), f"{secrets.token_hex(32)}\n".encode(), _PRIVATE)
        except OSError as error:
            log.warning(
                "cannot create the key of the audit log, so `audit verify` proves nothing: %s",
                error,
            )
    return open_seal(sources)

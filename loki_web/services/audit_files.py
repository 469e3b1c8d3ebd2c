"""The files of the audit log in `~/.loki/dashboard/audit` and their order (`spec` 15.3)."""

import os
import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from loki_web.store.folder import Folder

FOLDER = "dashboard/audit"
LOCK = f"{FOLDER}/audit"
_NAME = re.compile(r"audit-(\d{4}-\d{2}-\d{2})(?:\.(\d{6}))?\.jsonl", re.ASCII)


@dataclass(frozen=True)
class AuditFile:
    """:param part: the time of day at which the file was rotated away, "" for the one in use."""

    name: str
    day: date
    part: str

    @property
    def path(self) -> str:
        """Seen from `~/.loki`."""
        return os.path.join(FOLDER, self.name)

    @property
    def order(self) -> tuple[date, bool, str]:
        return self.day, not self.part, self.part


def audit_files(user: Folder) -> list[AuditFile]:
    """All files of the log, oldest first: of a day the rotated parts, then the one in use."""
    found = (_file(name) for name in user.file_names(FOLDER, ".jsonl"))
    return sorted((file for file in found if file), key=lambda file: file.order)


def current(now: datetime) -> AuditFile:
    """The file that entries of this moment belong into."""
    return AuditFile(f"audit-{now.date().isoformat()}.jsonl", now.date(), "")


def rotated_name(user: Folder, file: AuditFile, now: datetime) -> str | None:
    """A name for a full file that sorts after the parts which are there.

    :return: None in the last seconds of a day that has no name left.
    """
    parts = [other.part for other in audit_files(user) if other.day == file.day and other.part]
    latest = datetime.combine(file.day, now.time())
    for part in parts:
        try:
            after = datetime.combine(file.day, datetime.strptime(part, "%H%M%S").time())
        except ValueError:
            continue
        latest = max(latest, after + timedelta(seconds=1))
    if latest.date() != file.day:
        return None
    return f"audit-{file.day.isoformat()}.{latest.strftime('%H%M%S')}.jsonl"


def _file(name: str) -> AuditFile | None:
    match = _NAME.fullmatch(name)
    if not match:
        return None
    try:
        return AuditFile(name, date.fromisoformat(match[1]), match[2] or "")
    except ValueError:
        return None

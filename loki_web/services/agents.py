"""The agents of a session."""

from datetime import datetime

from loki_web.store.folder import Folder


def running_count(folder: Folder, now: datetime) -> int:
    return 0

"""Access to tokens and the audit log, independent of the other settings of the server."""

import os
import time
from typing import Any

import click

from loki_web.audit.log import Event, WritableAuditLog
from loki_web.audit.syslog import SyslogForwarder
from loki_web.config.settings import Settings
from loki_web.services.context import WritableSources, open_sources


def open_accounts() -> WritableSources:
    """Return the sources with the files of this user's home directory.

    :raises SettingsError: when a setting of the audit log is invalid.
    """
    return open_sources(Settings.of_accounts(), time.time())


def record(sources: WritableSources, action: str, identifier: str, **details: Any) -> None:
    """Record a change of a token in the audit log, as the server does for requests.

    A failure to record is printed; the change itself is not undone.
    """
    all_details = {"source": "cli", "uid": os.getuid(), **details}
    event = Event(action, "token", identifier, user_id="cli", details=all_details)
    entry = WritableAuditLog(sources).record(event)
    if entry is None and sources.settings.audit_recorded:
        click.echo(
            "loki-web: the change was made, but could not be recorded in the audit log", err=True
        )
    if entry is not None and not SyslogForwarder(sources).send_now(entry):
        click.echo("loki-web: the change could not be sent to the syslog server", err=True)

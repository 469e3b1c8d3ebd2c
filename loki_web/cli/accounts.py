"""Where the commands for tokens and the audit log work, whatever the server's settings are."""

import os
import time
from typing import Any

import click

from loki_web.audit import log as audit_log
from loki_web.audit.syslog import SyslogForwarder
from loki_web.config.settings import Settings
from loki_web.services.context import Sources


def sources() -> Sources:
    """The files of this user's home.

    :raises SettingsError: when a setting of the audit log is wrong.
    """
    return Sources.of(Settings.of_accounts(), time.time())


def record(src: Sources, action: str, identifier: str, **details: Any) -> None:
    """Put a change of a token into the audit log, as the server does with what it is asked."""
    told = {"source": "cli", "uid": os.getuid(), **details}
    entry = audit_log.record(
        src, audit_log.Event(action, "token", identifier, user_id="cli", details=told)
    )
    if entry is None and src.settings.audit_recorded:
        click.echo("loki-web: the change was made, but is not in the audit log", err=True)
    if entry is not None and not SyslogForwarder(src.settings).send_now(entry):
        click.echo("loki-web: the syslog server was not told of the change", err=True)

"""`audit`: verify and query the audit log."""

import json
from datetime import datetime
from typing import Any

import click

from loki_web.audit import query as audit_query
from loki_web.audit import verify as audit_verify
from loki_web.audit.log import FOLDER
from loki_web.audit.query import EntryDict
from loki_web.audit.verify import MAX_REPORTED, Verification
from loki_web.cli.accounts import open_accounts
from loki_web.cli.options import counted, moment, table

_HEADS = ("TIME", "USER", "ACTION", "RESOURCE", "RESULT", "ADDRESS")
_ALTERED, _UNPROVEN = 1, 3  # click exits with 2 for wrong arguments
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def audit() -> None:
    """Verify and query the audit log in ~/.loki/dashboard/audit."""


@audit.command()
def verify() -> int:
    """Verify the hash chain of all files against its signed end.

    Exit with 1 if an entry was altered or is missing, and with 3 if the key does not prove all of
    them: entries older than the key, entries of other writers, forks. Each finding is printed with
    its file and line. Torn lines (left by crashes) are no alterations.
    """
    sources = open_accounts()
    result = audit_verify.verify_log(sources)
    for finding in [*result.faults, *result.forks, *result.unproven, *result.torn]:
        click.echo(finding)
    click.echo(f"{sources.user.path / FOLDER}: {_summary(result)}")
    if not result.ok:
        return _ALTERED
    return 0 if result.is_proven else _UNPROVEN


@audit.command()
@click.option("--start-date", type=_DAY, help="First day, UTC")
@click.option("--end-date", type=_DAY, help="Last day, UTC")
@click.option("--action", help="For example create, revoke or stop")
@click.option("--resource-type", help="For example token or session")
@click.option("--resource-id")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option("--offset", type=click.IntRange(0, 10**9), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array")
def query(
    start_date: datetime | None, end_date: datetime | None, as_json: bool, **filters: Any
) -> None:
    """List audit entries, newest first."""
    entries = audit_query.find_entries(
        open_accounts(),
        start_date=start_date and start_date.date(),
        end_date=end_date and end_date.date(),
        **filters,
    )
    if as_json:
        click.echo(json.dumps(entries, indent=2))
    elif entries:
        for line in table(_HEADS, [_row(entry) for entry in entries]):
            click.echo(line)
    else:
        click.echo("No entries match.", err=True)


def _summary(result: Verification) -> str:
    return ", ".join(
        [
            _verdict(result),
            counted(result.files, "file", "files"),
            counted(result.entries, "chained entry", "chained entries"),
            f"{result.bare} without a hash",
            _at_least(result.forks, "fork", "forks"),
            _at_least(result.torn, "torn line", "torn lines"),
        ]
    )


def _verdict(result: Verification) -> str:
    if not result.ok:
        return f"ALTERED in {_at_least(result.faults, 'place', 'places')}"
    return "intact" if result.is_proven else "NOT PROVEN"


def _at_least(findings: list[Any], singular: str, plural: str) -> str:
    """Return a count of findings; they are reported up to MAX_REPORTED."""
    prefix = "at least " if len(findings) >= MAX_REPORTED else ""
    return prefix + counted(len(findings), singular, plural)


def _row(entry: EntryDict) -> list[str]:
    resource = " ".join(filter(None, (entry["resource_type"], entry["resource_id"])))
    result = "ok" if entry["success"] else f"failed: {entry['error'] or 'unknown error'}"
    user, address = entry["user_id"] or "-", entry["ip_address"] or "-"
    return [moment(entry["timestamp"]), user, entry["action"], resource, result, address]

"""`audit`: is the log as it was written, and what does it say?"""

import json
from datetime import datetime
from typing import Any

import click

from loki_web.audit import query as audit_query
from loki_web.audit import verify as audit_verify
from loki_web.audit.log import FOLDER
from loki_web.audit.verify import MAX_REPORTED, Verification
from loki_web.cli.accounts import sources
from loki_web.cli.options import counted, moment, table
from loki_web.store.coerce import Json

_HEADS = ("TIME", "WHO", "ACTION", "WHAT", "RESULT", "FROM")
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def audit() -> None:
    """Verify and query the audit log in ~/.loki/dashboard/audit."""


@audit.command()
def verify() -> int:
    """Follow the hash chain through all files; exit code 1 where anything was altered.

    Each finding is a line: file, line and what it is. Forks and torn lines, which processes that
    did not know of each other and crashes leave behind, are no alteration.
    """
    src = sources()
    found = audit_verify.verify(src.user)
    for spot in [*found.faults, *found.forks, *found.torn]:
        click.echo(spot)
    click.echo(f"{src.user.path / FOLDER}: {_summary(found)}")
    return 0 if found.ok else 1


@audit.command()
@click.option("--start-date", type=_DAY, help="First day, UTC")
@click.option("--end-date", type=_DAY, help="Last day, UTC")
@click.option("--action", help="Such as create, revoke or stop")
@click.option("--resource-type", help="Such as token or session")
@click.option("--resource-id")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option("--offset", type=click.IntRange(0, 10**9), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As a JSON array")
def query(
    start_date: datetime | None, end_date: datetime | None, as_json: bool, **filters: Any
) -> None:
    """Show entries, the newest first."""
    found = audit_query.find_entries(
        sources(),
        start_date=start_date and start_date.date(),
        end_date=end_date and end_date.date(),
        **filters,
    )
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        for line in table(_HEADS, [_row(entry) for entry in found]):
            click.echo(line)
    else:
        click.echo("There are no such entries", err=True)


def _summary(found: Verification) -> str:
    return ", ".join(
        [
            "intact" if found.ok else f"ALTERED in {_at_least(found.faults, 'place', 'places')}",
            counted(found.files, "file", "files"),
            counted(found.entries, "chained entry", "chained entries"),
            f"{found.bare} without a hash",
            _at_least(found.forks, "fork", "forks"),
            _at_least(found.torn, "torn line", "torn lines"),
        ]
    )


def _at_least(spots: list[Any], thing: str, things: str) -> str:
    """No more than so many are reported."""
    more = "at least " if len(spots) >= MAX_REPORTED else ""
    return more + counted(len(spots), thing, things)


def _row(entry: Json) -> list[str]:
    what = " ".join(filter(None, (entry["resource_type"], entry["resource_id"])))
    result = "ok" if entry["success"] else f"failed: {entry['error'] or 'no reason given'}"
    who, source = entry["user_id"] or "-", entry["ip_address"] or "-"
    return [moment(entry["timestamp"]), who, entry["action"], what, result, source]

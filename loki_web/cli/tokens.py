"""`token`: manage access tokens without a running server."""

import json
import re

import click

from loki_web.auth import token_store, tokens
from loki_web.auth.scopes import ROLES, SCOPES
from loki_web.auth.tokens import CreatedTokenDict, TokenDict
from loki_web.cli.accounts import open_accounts, record
from loki_web.cli.options import moment, table
from loki_web.services.context import Sources, WritableSources
from loki_web.store.times import parse_time
from loki_web.text import printable

_HEADS = ("ID", "NAME", "SCOPES", "STATE", "CREATED", "EXPIRES", "LAST USED")
_DURATION = re.compile(r"(\d{1,9})([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}


def _parse_duration(context: click.Context, option: click.Parameter, text: str) -> int:
    """Return seconds; `90m`, `24h` and `7d` are understood too."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise click.BadParameter("must be seconds, or a duration such as 90m, 24h or 7d")
    return int(match[1]) * _SECONDS[match[2]]


@click.group()
def token() -> None:
    """Create, list, rotate and revoke access tokens for LOKI_ENTERPRISE_AUTH=true.

    They are stored in ~/.loki/dashboard/tokens.json. A running server uses a change at once.
    """


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Repeatable")
@click.option("--role", type=click.Choice(list(ROLES)), help="Instead of scopes")
@click.option("--expires-days", type=int, help="Default: does not expire")
@click.option(
    "--project",
    "projects",
    multiple=True,
    help="Limit the token to a project, by its id, alias or path; repeatable. With LOKI_REDIS_URL, "
    "also to a project of another machine, by its id in /api/fleet",
)
def create(
    name: str,
    scopes: tuple[str, ...],
    role: str | None,
    expires_days: int | None,
    projects: tuple[str, ...],
) -> None:
    """Create a token and print it. It cannot be shown again.

    Without scopes and role it can only read.
    """
    sources = _open_store()
    created = tokens.create(
        sources,
        name,
        scopes=scopes or None,
        role=role,
        expires_days=expires_days,
        projects=projects or None,
    )
    limit = {"projects": created["projects"]} if "projects" in created else {}
    record(
        sources, "create", created["id"], name=created["name"], scopes=created["scopes"], **limit
    )
    _print_token(sources, created)


@token.command("list")
@click.option("--all", "everything", is_flag=True, help="Include revoked tokens")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array")
def list_tokens(everything: bool, as_json: bool) -> None:
    """List the tokens, without their secrets."""
    sources = _open_store()
    entries = tokens.list_tokens(sources, include_revoked=everything)
    if as_json:
        click.echo(json.dumps(entries, indent=2))
    elif entries:
        for line in table(_HEADS, [_row(sources, entry) for entry in entries]):
            click.echo(line)
    else:
        click.echo(f"No tokens in {_path(sources)}", err=True)


@token.command()
@click.argument("identifier", metavar="ID_OR_NAME")
def revoke(identifier: str) -> None:
    """Revoke a token. It stays in the list."""
    sources = _open_store()
    tokens.revoke(sources, identifier)
    record(sources, "revoke", identifier)
    click.echo(f"Revoked {printable(identifier)}", err=True)


@token.command()
@click.argument("identifier", metavar="ID_OR_NAME")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation")
def delete(identifier: str, yes: bool) -> None:
    """Delete a token and its data permanently."""
    sources = _open_store()
    tokens.check_exists(sources, identifier)
    if not yes and not _confirmed(f"Delete {printable(identifier)} permanently?"):
        raise click.ClickException("nothing was deleted; use --yes to delete without confirmation")
    tokens.delete(sources, identifier)
    record(sources, "delete", identifier)
    click.echo(f"Deleted {printable(identifier)}", err=True)


@token.command()
@click.argument("identifier", metavar="ID_OR_NAME")
@click.option(
    "--grace",
    callback=_parse_duration,
    metavar="DURATION",
    default=f"{tokens.GRACE_SECONDS // _SECONDS['h']}h",
    help="How long the old token stays valid: seconds, or 90m, 24h, 7d",
)
def rotate(identifier: str, grace: int) -> None:
    """Replace a token by a new one with the same name and scopes, and print it."""
    sources = _open_store()
    created = tokens.rotate(sources, identifier, grace_seconds=grace)
    record(sources, "rotate", created["replaces"], replaced_by=created["id"], grace_seconds=grace)
    _print_token(sources, created)


def _open_store() -> WritableSources:
    sources = open_accounts()
    if not token_store.is_readable(sources):
        raise click.ClickException(f"{_path(sources)} is damaged or unreadable")
    return sources


def _confirmed(question: str) -> bool:
    """Ask for confirmation; False without a terminal."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def _print_token(sources: Sources, created: CreatedTokenDict) -> None:
    """Print the token alone on standard output, for scripts; the rest on standard error."""
    click.echo(created["token"])
    expiry = f"expires {created['expires_at']}" if created["expires_at"] else "does not expire"
    click.echo(
        f"{printable(created['name'])} ({created['id']}) has the scopes "
        f"{', '.join(created['scopes'])} and {expiry}. {_limit(created)}"
        f"Its hash is stored in {_path(sources)}. The token cannot be shown again.",
        err=True,
    )


def _limit(created: TokenDict) -> str:
    folders = created.get("projects")
    return "" if folders is None else f"It is limited to {printable(', '.join(folders))}. "


def _path(sources: Sources) -> str:
    return str(sources.user.path / token_store.FILE)


def _row(sources: Sources, entry: TokenDict) -> list[str]:
    expires = parse_time(entry["expires_at"])
    if entry["revoked"]:
        state = "revoked"
    else:
        state = "expired" if expires and expires <= sources.now() else "active"
    times = [moment(entry[key]) for key in ("created_at", "expires_at", "last_used")]
    return [entry["id"], entry["name"], ",".join(entry["scopes"]), state, *times]

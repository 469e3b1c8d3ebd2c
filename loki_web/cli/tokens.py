"""`token`: the accounts of a server, without the server."""

import json
import re
from typing import Any

import click

from loki_web.auth import token_store, tokens
from loki_web.auth.scopes import ROLES, SCOPES
from loki_web.cli.accounts import record, sources
from loki_web.cli.options import moment, table
from loki_web.services.context import Sources
from loki_web.store.coerce import Json
from loki_web.store.times import parse_time
from loki_web.text import printable

_HEADS = ("ID", "NAME", "SCOPES", "STATE", "CREATED", "EXPIRES", "LAST USED")
_DURATION = re.compile(r"(\d{1,9})([smhd]?)", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}


class _Duration(click.ParamType[int]):
    """A number of seconds, or `90m`, `24h`, `7d`."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if isinstance(value, int):
            return value
        match = _DURATION.fullmatch(value)
        if match is None:
            self.fail("must be a number of seconds, or such as 90m, 24h or 7d", param, ctx)
        return int(match[1]) * _SECONDS[match[2]]


@click.group()
def token() -> None:
    """Make, list and end the tokens that open a server with LOKI_ENTERPRISE_AUTH=true.

    They are in ~/.loki/dashboard/tokens.json; a running server heeds a change at once.
    """


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Repeatable")
@click.option("--role", type=click.Choice(list(ROLES)), help="Instead of scopes")
@click.option("--expires-days", type=int, help="Left out, it does not expire")
def create(name: str, scopes: tuple[str, ...], role: str | None, expires_days: int | None) -> None:
    """Make a token and print it: the only time that it can be seen.

    It can only read where neither scopes nor a role are given.
    """
    src = sources()
    made = tokens.create(src, name, scopes=scopes or None, role=role, expires_days=expires_days)
    record(src, "create", made["id"], name=made["name"], scopes=made["scopes"])
    _hand_out(src, made)


@token.command("list")
@click.option("--all", "everything", is_flag=True, help="Also the revoked ones")
@click.option("--json", "as_json", is_flag=True, help="As a JSON array")
def list_tokens(everything: bool, as_json: bool) -> None:
    """Show the tokens, without what could open anything."""
    src = sources()
    if not token_store.is_readable(src.user):
        raise click.ClickException(f"{_place(src)} is damaged or cannot be read")
    found = tokens.list_tokens(src, include_revoked=everything)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found:
        for line in table(_HEADS, [_row(src, shown) for shown in found]):
            click.echo(line)
    else:
        click.echo(f"There are no tokens in {_place(src)}", err=True)


@token.command()
@click.argument("identifier", metavar="ID_OR_NAME")
def revoke(identifier: str) -> None:
    """Let a token open nothing from now on; it stays in the list."""
    src = sources()
    tokens.revoke(src, identifier)
    record(src, "revoke", identifier)
    click.echo(f"{printable(identifier)} is revoked", err=True)


@token.command()
@click.argument("identifier", metavar="ID_OR_NAME")
@click.option("--yes", is_flag=True, help="Do not ask")
def delete(identifier: str, yes: bool) -> None:
    """Remove a token and all that is known of it."""
    if not yes and not _confirmed(f"Delete {printable(identifier)} for ever?"):
        raise click.ClickException("nothing was deleted; without being asked: --yes")
    src = sources()
    tokens.delete(src, identifier)
    record(src, "delete", identifier)
    click.echo(f"{printable(identifier)} is deleted", err=True)


@token.command()
@click.argument("identifier", metavar="ID_OR_NAME")
@click.option(
    "--grace",
    type=_Duration(),
    default=tokens.GRACE_SECONDS,
    help="How long the old one still opens: seconds, or such as 90m, 24h, 7d. Default 24h",
)
def rotate(identifier: str, grace: int) -> None:
    """Replace a token by a new one with the same name and rights, and print that."""
    src = sources()
    made = tokens.rotate(src, identifier, grace_seconds=grace)
    record(src, "rotate", made["replaces"], replaced_by=made["id"], grace_seconds=grace)
    _hand_out(src, made)


def _confirmed(question: str) -> bool:
    """False also where there is nobody to answer."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def _hand_out(src: Sources, made: Json) -> None:
    """The token alone on standard output, so that a script can take it."""
    click.echo(made["token"])
    ends = f"until {made['expires_at']}" if made["expires_at"] else "without an end"
    click.echo(
        f"{printable(made['name'])} ({made['id']}) may {', '.join(made['scopes'])}, {ends}. "
        f"Its hash is in {_place(src)}; the token itself is shown only now.",
        err=True,
    )


def _place(src: Sources) -> str:
    return str(src.user.path / token_store.FILE)


def _row(src: Sources, shown: Json) -> list[str]:
    expires = parse_time(shown["expires_at"])
    if shown["revoked"]:
        state = "revoked"
    else:
        state = "expired" if expires and expires <= src.now() else "active"
    times = [moment(shown[key]) for key in ("created_at", "expires_at", "last_used")]
    return [shown["id"], shown["name"], ",".join(shown["scopes"]), state, *times]

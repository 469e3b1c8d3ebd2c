"""`tail`: show the live feed of a server in a terminal."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

import click

from loki_web.cli.feed_client import Refused, follow
from loki_web.cli.options import cacert_option, checked_url
from loki_web.config.settings import Settings
from loki_web.live.protocol import CHANNELS
from loki_web.store.coerce import Json, as_amount, as_dict
from loki_web.text import printable

TOKEN_VARIABLE = "LOKI_TOKEN"  # noqa: S105
_MAX_LENGTH = 500  # characters of one message


@click.command()
@click.argument("url", required=False)
@click.option(
    "--channel",
    "-c",
    "channels",
    multiple=True,
    callback=lambda _context, _parameter, lists: _channels_in(lists),
    help=f"One or more of {', '.join(CHANNELS)}; repeatable, or separated by commas",
)
@click.option("--project", "-p", help="Id, alias or path of a registered project")
@click.option(
    "--token",
    envvar=TOKEN_VARIABLE,
    help="Access token. Other users of this machine can see options of commands; prefer the "
    f"variable {TOKEN_VARIABLE}",
)
@cacert_option
@click.option("--json", "as_json", is_flag=True, help="Print each message as a JSON line")
def tail(
    url: str | None,
    channels: tuple[str, ...],
    project: str | None,
    token: str | None,
    cacert: str | None,
    as_json: bool,
) -> int:
    """Show the messages of a running server until Ctrl-C.

    URL is the address of the server; default: from the settings. Default channels: all. A broken
    connection is re-established, and missed messages are shown.
    """
    address = Settings.read().url if url is None else checked_url(url)
    token = _checked_token(token)
    write = _as_json if as_json else _as_line
    try:
        with closing(
            follow(
                address,
                channels or CHANNELS,
                token,
                ca_file=cacert,
                wait=_wait_and_report(address),
                project=project,
            )
        ) as feed:
            for message in feed:
                click.echo(write(message))
    except KeyboardInterrupt:
        return 0
    except Refused as error:
        raise click.ClickException(str(error)) from None
    except ValueError:
        raise click.ClickException(f"the server at {address} is not Loki Web") from None
    return 0


def _checked_token(token: str | None) -> str | None:
    """Return the token without the line end that files and commands add to it."""
    bare = token.strip() if token else token
    if bare and not (bare.isascii() and bare.isprintable() and " " not in bare):
        raise click.UsageError("Tokens contain only printable ASCII characters and no spaces.")
    return bare


def _channels_in(lists: Sequence[str]) -> tuple[str, ...]:
    names = dict.fromkeys(name.strip() for one in lists for name in one.split(",") if name.strip())
    unknown = [name for name in names if name not in CHANNELS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]} is not one of {', '.join(CHANNELS)}")
    return tuple(names)


def _wait_and_report(address: str) -> Callable[[float, str], None]:
    def wait(seconds: float, reason: str) -> None:
        text = printable(" ".join(reason.split())).rstrip(".")
        message = f"no connection to {address}: {text}; retrying in {seconds:.0f} s"
        click.echo(f"loki-web: {message}", err=True)
        time.sleep(seconds)

    return wait


def _as_json(message: Any) -> str:
    return json.dumps(message)  # ASCII, with control characters escaped


def _as_line(message: Any) -> str:
    """Return local time, type and a summary of the data."""
    kind, data = str(as_dict(message).get("type")), as_dict(message).get("data")
    summary = " ".join(_SUMMARIES.get(kind, _plain)(data).split())
    text = printable(summary)[:_MAX_LENGTH]
    return f"{datetime.now():%H:%M:%S}  {printable(kind):16}  {text}".rstrip()


def _plain(data: Any) -> str:
    return "" if data is None else json.dumps(data, ensure_ascii=False)


def _values_of(*keys: str) -> Callable[[Any], str]:
    """Return a function that joins the values of these keys, without empty ones."""

    def join(data: Any) -> str:
        values = (as_dict(data).get(key) for key in keys)
        return "  ".join(str(value) for value in values if value not in (None, "", []))

    return join


def _count_of(things: str) -> Callable[[Any], str]:
    return lambda data: f"{len(data) if isinstance(data, list) else 0} {things}"


def _channels(data: Any) -> str:
    names = as_dict(data).get("channels")
    return ", ".join(map(str, names)) if isinstance(names, list) else ""


def _status(data: Any) -> str:
    status = as_dict(data)
    counts = f"{status.get('running_agents')} agents, {status.get('pending_tasks')} tasks pending"
    iteration = f"iteration {status.get('iteration')}"
    return f"{_values_of('status', 'phase')(status)}  {iteration}  {counts}"


def _agents(data: Any) -> str:
    agents = [as_dict(agent) for agent in data] if isinstance(data, list) else []
    alive = sum(agent.get("alive") is True for agent in agents)
    return (
        f"{alive} of {len(agents)} alive: " + ", ".join(map(_agent, agents)) if agents else "none"
    )


def _agent(agent: Json) -> str:
    return f"{agent.get('name') or agent.get('id')} ({agent.get('status')})"


def _cost(data: Any) -> str:
    cost = as_dict(data)
    limit = as_amount(cost.get("budget_limit"))
    spent = f"{as_amount(cost.get('estimated_cost_usd')) or 0:.2f} USD"
    return spent if limit is None else f"{spent} of {limit:.2f} USD"


def _council(data: Any) -> str:
    council = as_dict(data)
    verdicts = council.get("verdicts")
    last = as_dict(verdicts[-1]) if isinstance(verdicts, list) and verdicts else {}
    if not last:
        return "no verdict yet" if council.get("enabled") else "not enabled"
    return f"{last.get('result')} in iteration {last.get('iteration')}"


_task = _values_of("id", "status", "title")
_SUMMARIES: dict[str, Callable[[Any], str]] = {
    "connected": _channels,
    "error": _values_of("detail"),
    "reset": _channels,
    "task_created": _task,
    "task_updated": _task,
    "task_moved": _task,
    "task_removed": _task,
    "project_created": _values_of("name", "path"),
    "project_removed": _values_of("name", "path"),
    "status": _status,
    "agents": _agents,
    "log": _values_of("level", "message"),
    "notification": _values_of("severity", "message"),
    "notification_removed": _values_of("severity", "message"),
    "cost": _cost,
    "council": _council,
    "checkpoint": _values_of("id", "message"),
    "checkpoint_removed": _values_of("id", "message"),
    "tasks": _count_of("tasks"),
    "projects": _count_of("projects"),
    "notifications": _count_of("notifications"),
    "checkpoints": _count_of("checkpoints"),
}

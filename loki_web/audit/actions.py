"""Action and resource type of a request in the audit log (docs/files.md, section 15.3).

Both derive from the route: in `/api/agents/<id>/kill`, `kill` is the action and `agent` the
resource type. `_EXCEPTIONS` lists the routes with other names.
"""

import re
from dataclasses import dataclass

_VARIABLE = re.compile(r"<[^>]*>")
_BY_METHOD = {"GET": "read", "HEAD": "read", "POST": "create", "DELETE": "delete"}
_UPDATE = "update"
_EXCEPTIONS = {
    ("GET", "/ws"): ("connect", "socket"),
    ("POST", "/api/auth/session"): ("sign_in", "browser"),
    ("DELETE", "/api/auth/session"): ("sign_out", "browser"),
    ("POST", "/api/control/pause"): ("pause", "session"),
    ("POST", "/api/control/resume"): ("resume", "session"),
    ("POST", "/api/control/stop"): ("stop", "session"),
    ("POST", "/api/memory/consolidate"): ("consolidate", "memory"),
    ("POST", "/api/memory/retrieve"): ("read", "memory"),
    ("POST", "/api/learning/aggregate"): ("aggregate", "learning"),
    ("POST", "/api/council/force-review"): ("force_review", "council"),
    ("POST", "/api/registry/sync"): ("sync", "registry"),
    ("POST", "/api/focus"): ("set", "focus"),
    ("DELETE", "/api/focus"): ("clear", "focus"),
    ("POST", "/api/notifications/acknowledge"): ("acknowledge", "notification"),
    ("PUT", "/api/notifications/triggers"): ("update", "triggers"),
    ("DELETE", "/api/enterprise/tokens/<>"): ("revoke", "token"),
}
_RESOURCE_TYPES = {"/api/registry/projects": "registry_project", "/api/enterprise/tokens": "token"}


@dataclass(frozen=True)
class Action:
    """The action and resource type of an audit entry, such as `kill` and `agent`."""

    action: str
    resource_type: str


def classify_request(method: str, rule: str, *, permanent: bool = False) -> Action:
    """Return the action and resource type of a request.

    :param rule: the URL rule, such as `/api/agents/<agent_id>/kill`.
    :param permanent: whether a token is deleted rather than revoked.
    """
    route = _VARIABLE.sub("<>", rule)
    exception = _EXCEPTIONS.get((method, route))
    if exception:
        action, resource_type = exception
        is_deletion = permanent and resource_type == "token"
        return Action("delete" if is_deletion else action, resource_type)
    before, variable, after = route.partition("/<>")
    last_part = before.rstrip("/").rpartition("/")[2]
    resource_type = _RESOURCE_TYPES.get(before) or _get_singular(last_part or "api")
    verb = after.strip("/").rpartition("/")[2]
    if variable and verb and method == "POST":
        return Action(verb.replace("-", "_"), resource_type)
    return Action(_BY_METHOD.get(method, _UPDATE), resource_type)


def _get_singular(word: str) -> str:
    plain = word.replace("-", "_")
    if plain.endswith("sses"):
        return plain[:-2]
    return plain[:-1] if plain.endswith("s") and not plain.endswith(("ss", "us")) else plain

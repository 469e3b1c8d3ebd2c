"""What a request does, in the words of the audit log (`spec` 15.3).

Named from the route: the last fixed part of `/api/agents/<id>/kill` is the action, what stands
before the id the kind of thing. The table has those that are called otherwise.
"""

import re
from dataclasses import dataclass

_VARIABLE = re.compile(r"<[^>]*>")
_BY_METHOD = {"GET": "read", "HEAD": "read", "POST": "create", "DELETE": "delete"}
_UPDATE = "update"
_NAMED = {
    ("GET", "/ws"): ("connect", "socket"),
    ("POST", "/api/control/pause"): ("pause", "session"),
    ("POST", "/api/control/resume"): ("resume", "session"),
    ("POST", "/api/control/stop"): ("stop", "session"),
    ("POST", "/api/memory/consolidate"): ("consolidate", "memory"),
    ("POST", "/api/memory/retrieve"): ("read", "memory"),
    ("POST", "/api/learning/aggregate"): ("aggregate", "learning"),
    ("POST", "/api/council/force-review"): ("force_review", "council"),
    ("POST", "/api/registry/sync"): ("sync", "registry"),
    ("PUT", "/api/notifications/triggers"): ("update", "triggers"),
    ("DELETE", "/api/enterprise/tokens/<>"): ("revoke", "token"),
}
_KINDS = {"/api/registry/projects": "registry_project", "/api/enterprise/tokens": "token"}


@dataclass(frozen=True)
class Action:
    action: str
    resource_type: str


def classify_request(method: str, rule: str, *, permanent: bool = False) -> Action:
    """What a request to this rule does.

    :param permanent: whether a token is to be deleted rather than revoked.
    """
    place = _VARIABLE.sub("<>", rule)
    named = _NAMED.get((method, place))
    if named:
        action, kind = named
        return Action("delete" if permanent and kind == "token" else action, kind)
    before, variable, after = place.partition("/<>")
    kind = _KINDS.get(before) or _get_singular(before.rstrip("/").rpartition("/")[2] or "api")
    verb = after.strip("/").rpartition("/")[2]
    if variable and verb and method == "POST":
        return Action(verb.replace("-", "_"), kind)
    return Action(_BY_METHOD.get(method, _UPDATE), kind)


def _get_singular(word: str) -> str:
    plain = word.replace("-", "_")
    if plain.endswith("sses"):
        return plain[:-2]
    return plain[:-1] if plain.endswith("s") and not plain.endswith(("ss", "us")) else plain

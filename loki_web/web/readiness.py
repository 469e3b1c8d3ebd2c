"""What keeps this server from serving in full: for `/health/ready` and `/metrics`."""

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from loki_web.audit.log import AuditState
from loki_web.services import warming
from loki_web.services.cells import Gauge
from loki_web.services.context import POLL, Sources, WritableSources
from loki_web.store.look import observe
from loki_web.store.notifier import get_notifier
from loki_web.webhooks.ledger import LedgerState, State


class WatchState:
    """An input that tells whether file system events have failed; examined once a second."""

    is_notified = True

    def examine(self) -> bool:
        """Return whether folders are polled because events have failed."""
        return get_notifier().has_failed


class _NameState:
    """An input that tells whether another server publishes under the name of this machine."""

    is_notified = True

    def __init__(self, sources: Sources) -> None:
        self._counts = sources.counts

    def examine(self) -> bool:
        return self._counts.greatest(Gauge.REDIS_REFUSED) > 0


@dataclass(frozen=True)
class Conditions:
    """What limits the server.

    :ivar is_gone: the state folder was there and has been removed or unmounted.
    :ivar is_redis_away: Redis does not answer, so this machine works alone.
    :ivar is_name_taken: another server publishes under the name of this machine.
    :ivar webhooks: how the sending goes; None without an address.
    """

    is_gone: bool
    is_audit_writable: bool
    is_watch_failed: bool
    is_redis_away: bool
    is_name_taken: bool
    webhooks: State | None


EXTENSION = "loki_web.readiness"


class ReadyDict(TypedDict):
    """The answer of `/health/ready`.

    :ivar warnings: what only limits the server.
    :ivar detail: the reasons as one text, if there are any.
    """

    status: str
    reasons: list[str]
    warnings: list[str]
    detail: NotRequired[str]


class Readiness:
    """Examines the conditions under which the server works."""

    def __init__(self, sources: WritableSources) -> None:
        self._sources = sources
        self._link, self._name = sources.link, _NameState(sources)
        self._audit, self._watch = AuditState(sources), WatchState()
        self._webhooks = LedgerState(sources)

    def examine(self) -> Conditions:
        """Return the present conditions; they are recorded as inputs of the answer."""
        settings = self._sources.settings
        return Conditions(
            is_gone=self._sources.project.is_gone(),
            is_audit_writable=not settings.audit_recorded or bool(observe(self._audit)),
            is_redis_away=self._link is not None and not observe(self._link),
            is_name_taken=self._link is not None and bool(observe(self._name)),
            is_watch_failed=settings.watch != POLL and bool(observe(self._watch)),
            webhooks=observe(self._webhooks) if settings.webhook_url else None,
        )

    def explain(self) -> ReadyDict:
        """Return whether requests should be sent here, and what keeps it from serving."""
        conditions = self.examine()
        reasons: list[str] = []
        warnings: list[str] = []
        if conditions.is_gone:
            reasons.append("The state folder is gone")
        elif not self._sources.project.is_readable():
            reasons.append("The state folder cannot be read")
        if warming.is_cold(self._sources):
            reasons.append("The first answers are still being computed")
        if not conditions.is_audit_writable:
            reasons.append("The audit log cannot be written")
        if conditions.is_watch_failed:
            warnings.append("File system events have failed: files are polled")
        if conditions.is_redis_away:
            warnings.append("Redis does not answer: this machine works alone")
        if conditions.is_name_taken:
            warnings.append("Another server publishes under the name of this machine")
        if conditions.webhooks and conditions.webhooks.is_failing:
            warnings.append("Webhook messages cannot be delivered")
        if not reasons:
            is_degraded = conditions.is_redis_away or conditions.is_name_taken
            return {
                "status": "degraded" if is_degraded else "ready",
                "reasons": reasons,
                "warnings": warnings,
            }
        return {
            "status": "not ready",
            "reasons": reasons,
            "warnings": warnings,
            "detail": ". ".join(reasons),
        }

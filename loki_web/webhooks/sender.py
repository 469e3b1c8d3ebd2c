"""Sends the messages from a thread of each worker, so that no request waits for a receiver.

Every worker of every server on the folder looks whether there is something to send; the lock of the
ledger decides who does it.
"""

import hashlib
import hmac
import http.client
import logging
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timedelta

from loki_web import __version__, outgoing
from loki_web.config.parsers import SESSION_ENDED
from loki_web.errors import StorageError
from loki_web.outgoing import NoRedirect
from loki_web.services.context import WritableSources
from loki_web.services.session import state
from loki_web.store import json_text
from loki_web.store.look import Summary, looking
from loki_web.store.times import isoformat
from loki_web.webhooks import ledger as ledgers
from loki_web.webhooks.ledger import Ledger
from loki_web.webhooks.messages import MessageDict, build_end, list_messages

TURN_SECONDS = 2.0
SETTLE_TIME = timedelta(seconds=5)  # a session that is gone for less is being restarted
RECEIVER_SECONDS = 10.0
_MAX_BYTES = 64 * 1024
_TRY_AGAIN = frozenset({408, 425, 429})  # of 300 to 499; all others cannot succeed later

log = logging.getLogger(__name__)


class _Refused(Exception):
    """The receiver does not want this message."""


class Sender:
    """Finds new messages and sends them, oldest first."""

    def __init__(self, sources: WritableSources) -> None:
        self._sources = sources
        self._messages = Summary(lambda: list_messages(sources))
        self._stopped_at: datetime | None = None
        self._problem = ""
        self._opener = outgoing.build_opener(sources.settings.webhook_url, NoRedirect())

    def start(self) -> None:
        """Send from now on, in a daemon thread."""
        threading.Thread(target=self._run, name="webhooks", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                self.turn()
            except Exception:  # an error must not stop the messages after it
                log.exception("webhooks could not be sent")
            time.sleep(TURN_SECONDS)

    def turn(self) -> None:
        """Send what is new and what is due, unless another process does."""
        if not self._sources.project.is_folder(""):
            return
        with looking():
            messages: dict[str, MessageDict] = self._messages.examine()
            live = self._find_live()
            current = Ledger.read(self._sources)
            ended = self._find_ended(current, live)
        is_new = current.is_new or not current.seen.keys() >= {*messages, *ended}
        if not (is_new or (live and live != current.live) or current.is_due(self._sources.now())):
            return
        try:
            with ledgers.opened(self._sources) as ledger:
                ledger.note([*messages, *self._find_ended(ledger, live)], self._sources.now())
                ledger.live = live or ledger.live
                ledgers.write(self._sources, ledger)
                self._deliver(ledger, messages)
        except StorageError:  # mostly because another process sends
            if not ledgers.can_be_written(self._sources):
                self._warn("webhook messages cannot be sent: the state folder cannot be written")

    def _find_live(self) -> str:
        """Return the start of the session that is alive; empty without one."""
        if state.get_status_word(self._sources) == state.STOPPED:
            return ""
        started = state.get_started_at(self._sources)
        return isoformat(started) if started else "unknown"

    def _find_ended(self, ledger: Ledger, live: str) -> list[str]:
        """Return the id of the message that the session has ended, in a list of at most one."""
        if live or not ledger.live or SESSION_ENDED not in self._sources.settings.webhook_events:
            self._stopped_at = None
            return []
        self._stopped_at = self._stopped_at or self._sources.now()
        is_over = self._sources.now() - self._stopped_at >= SETTLE_TIME
        return [f"{SESSION_ENDED} {ledger.live}"] if is_over else []

    def _deliver(self, ledger: Ledger, messages: dict[str, MessageDict]) -> None:
        """Send what waits, until an attempt fails; what has been sent is stored each time."""
        while ledger.is_due(self._sources.now()):
            key = next(iter(ledger.waiting))
            event, _, started = key.partition(" ")
            is_end = event == SESSION_ENDED
            message = build_end(self._sources, started) if is_end else messages.get(key)
            try:
                if message is None:
                    raise _Refused("it is no longer in the files")
                self._post(message)
                ledger.succeed(key)
                self._problem = ""
            except _Refused as error:
                ledger.lose(key)
                self._warn(f"a webhook message was not delivered: {error}")
            except (OSError, http.client.HTTPException) as error:
                ledger.fail(self._sources.now())
                self._warn(f"webhook messages wait for the receiver: {_explain(error)}")
            ledgers.write(self._sources, ledger)

    def _post(self, message: MessageDict) -> None:
        """Send a message.

        :raises OSError: when it should be sent again later; so does HTTPException.
        :raises _Refused: when that would be useless.
        """
        settings, at = self._sources.settings, str(int(self._sources.now().timestamp()))
        body = json_text.dump(message)
        if len(body) > _MAX_BYTES:
            body = json_text.dump({**message, "data": {}})
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"loki-web/{__version__}",
            "X-Loki-Timestamp": at,
        }
        if settings.webhook_secret:
            signed = hmac.new(
                settings.webhook_secret.encode(), f"{at}.".encode() + body, hashlib.sha256
            )
            headers["X-Loki-Signature"] = f"sha256={signed.hexdigest()}"
        request = urllib.request.Request(settings.webhook_url, body, headers, method="POST")  # noqa: S310
        try:
            self._opener.open(request, timeout=RECEIVER_SECONDS).close()
        except urllib.error.HTTPError as error:
            error.close()
            if 300 <= error.code < 500 and error.code not in _TRY_AGAIN:
                raise _Refused(f"HTTP {error.code}") from None
            raise

    def _warn(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem


def _explain(error: Exception) -> str:
    """Return what failed without the address, which may have a secret in its path."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or type(reason).__name__

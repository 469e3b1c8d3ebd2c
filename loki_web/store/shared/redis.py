"""The Redis server that the servers of several machines share, and what is counted there.

Everything in it can be lost: it holds copies of what the files say. A call waits for Redis at most
WAIT_SECONDS; after a vain one, no call waits for AWAY_SECONDS, or until a call succeeds that tries
all the same. No call is repeated, so that what takes too long takes this long only once.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import limits
import redis
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from loki_web.errors import AwayError
from loki_web.store.shared.rate_window import WINDOW_SECONDS, SharedWindow

PREFIX = "loki-web:1:"  # with the version of the format, as in services.machines.keys
WAIT_SECONDS = 0.25
AWAY_SECONDS = 5.0
PLACE_SECONDS = 90.0  # after which a place that was not renewed is free
_BLOCK_SECONDS = 1.0

# Redis' own clock, so that machines with wrong clocks agree.
_NOW = "local t = redis.call('TIME'); local now = t[1] + t[2] / 1000000; "
_TAKE = (
    f"{_NOW} redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now);"
    " if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end;"
    " redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3]);"
    " redis.call('EXPIRE', KEYS[1], 2 * ARGV[2]); return 1"
)
_RENEW = (
    f"{_NOW} for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[i]) end;"
    " redis.call('EXPIRE', KEYS[1], 2 * ARGV[1])"
)

T = TypeVar("T")


class Link:
    """The connections of this process to Redis; none is made before the first call.

    :param report_failure: called after each vain call.
    """

    is_notified = True  # as an input it is examined once a second

    def __init__(self, url: str, report_failure: Callable[[], None]) -> None:
        self._client = _connect(url, WAIT_SECONDS)
        self._blocking = _connect(url, _BLOCK_SECONDS + WAIT_SECONDS)
        self._report_failure = report_failure
        self._away_until = 0.0
        storage = RedisStorage(
            url, connection_pool=self._client.connection_pool, key_prefix=f"{PREFIX}rate"
        )
        self._limiter = MovingWindowRateLimiter(storage)

    def examine(self) -> bool:
        """Return whether Redis answers, as an input of `/metrics`."""
        return not self._away_until

    def call(self, action: Callable[[Any], T], *, tries_anyway: bool = False) -> T:
        """Return what an action with the client returns.

        :param tries_anyway: also shortly after a vain call; not for requests.
        :raises AwayError: when Redis does not answer.
        """
        return self._call(self._client, action, tries_anyway=tries_anyway)

    def read_streams(self, after: dict[str, str]) -> list[tuple[str, list[Any]]]:
        """Wait a second for entries of streams, and return them by stream.

        :param after: the last known id of each stream.
        :raises AwayError: when Redis does not answer.
        """
        milliseconds = int(_BLOCK_SECONDS * 1000)
        streams: list[Any] | None = self._call(
            self._blocking,
            lambda client: client.xread(after, count=1000, block=milliseconds),
            tries_anyway=True,
        )
        return [(name.decode(), entries) for name, entries in streams or []]

    def _call(self, client: Any, action: Callable[[Any], T], *, tries_anyway: bool) -> T:
        if not tries_anyway and time.monotonic() < self._away_until:
            raise AwayError
        try:
            result = action(client)
        except (redis.RedisError, OSError) as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            self._report_failure()
            client.connection_pool.disconnect(inuse_connections=False)  # others may be as dead
            raise AwayError from error
        self._away_until = 0.0
        return result

    def hit(self, key: str, most: int) -> int | None:
        """Count one hit in the window of all machines, as `SharedWindow.hit`.

        :raises AwayError: when Redis does not answer.
        """
        item, name = limits.RateLimitItemPerMinute(most), _digest(key)
        if self.call(lambda _: self._limiter.hit(item, name)):
            return None
        free_at = self.call(lambda _: self._limiter.get_window_stats(item, name)).reset_time
        return min(int(WINDOW_SECONDS), max(1, math.ceil(free_at - time.time())))

    def open_window(self, path: Path | None) -> SharedWindow:
        """Return the window of all machines.

        :param path: of the window of this machine, for when Redis does not answer.
        """
        return _MachinesWindow(self, path)

    def take_place(self, owner: str, name: str, most: int) -> bool:
        """Take one of the places of an owner, unless `most` are taken on all machines.

        :raises AwayError: when Redis does not answer.
        """
        key, arguments = _places(owner), (str(most), str(PLACE_SECONDS), name)
        return bool(self.call(lambda client: client.eval(_TAKE, 1, key, *arguments)))

    def give_back_places(self, owner: str, names: Iterable[str]) -> None:
        """Give places back; raises as `take_place`."""
        self.call(lambda client: client.zrem(_places(owner), *names))

    def renew_places(self, owner: str, names: Iterable[str]) -> None:
        """Keep places for another PLACE_SECONDS; raises as `take_place`."""
        self.call(lambda client: client.eval(_RENEW, 1, _places(owner), str(PLACE_SECONDS), *names))


class _MachinesWindow(SharedWindow):
    """A window of all machines; while Redis does not answer, of this machine."""

    def __init__(self, link: Link, path: Path | None) -> None:
        super().__init__(path)
        self._link = link

    def hit(self, key: str, most: int) -> int | None:
        """Count one hit, see `SharedWindow.hit`."""
        try:
            return self._link.hit(key, most)
        except AwayError:
            return super().hit(key, most)


def _connect(url: str, seconds: float) -> Any:
    return redis.Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=WAIT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        client_name="loki-web",
        protocol=2,
    )


def _places(owner: str) -> str:
    return f"{PREFIX}places:{_digest(owner)}"


def _digest(text: str) -> str:
    """Return a name for a client that does not tell its address or its user."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

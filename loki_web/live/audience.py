"""Who listens to which channel."""

from collections import defaultdict

from loki_web.live.hub.connection import Connection


class Audience:
    """:ivar channels: those that somebody listens to."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Connection]] = defaultdict(set)
        self.channels: frozenset[str] = frozenset()

    def of(self, channel: str) -> list[Connection]:
        return list(self._listeners[channel])

    def place(self, connection: Connection, channels: frozenset[str]) -> None:
        """Let a connection listen to these channels and to no others."""
        before = connection.listens_to
        if channels == before:
            return
        connection.listens_to = channels
        for name in before - channels:
            self._listeners[name].discard(connection)
        for name in channels - before:
            self._listeners[name].add(connection)
        self.channels = frozenset(name for name, who in self._listeners.items() if who)

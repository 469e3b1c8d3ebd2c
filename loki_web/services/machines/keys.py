"""The keys in Redis. The number is the version of what is in them."""

_PREFIX = "loki-web:1:"
MACHINES = f"{_PREFIX}machines"  # sorted set: names by the time of their last report
REVOKED = f"{_PREFIX}revoked"  # sorted set: ids of tokens by the time from which they are refused
NEWS = f"{_PREFIX}news"  # stream: a token was revoked
AUDIT = f"{_PREFIX}audit"  # stream: the last entries of the audit logs, without clients


def machine(name: str) -> str:
    """Return the key of what a machine tells: its projects. It expires if the machine is silent."""
    return f"{_PREFIX}machine:{name}"


def lease(name: str) -> str:
    """Return the key that tells which server publishes for a machine."""
    return f"{_PREFIX}lease:{name}"


def events(session: str) -> str:
    """Return the stream of a session's events."""
    return f"{_PREFIX}events:{session}"


def reads(name: str) -> str:
    """Return the set of reads that other servers request from a machine."""
    return f"{_PREFIX}reads:{name}"


def answer(session: str, rule: str) -> str:
    """Return the key of the answer to a read of a session."""
    return f"{_PREFIX}answer:{session}:{rule}"


def state(session: str) -> str:
    """Return the hash with the state of each channel of a session."""
    return f"{_PREFIX}state:{session}"

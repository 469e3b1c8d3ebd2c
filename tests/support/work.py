"""How much work something is, in units that do not depend on the machine."""

from pathlib import Path


def bytes_read() -> int:
    """Bytes that this process has read until now, from wherever."""
    fields = dict(row.split(": ") for row in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])

"""Tasks that a server has stored for its next start, and changes of the files they come from."""

import os
import time
from pathlib import Path

from tests.support.places import Place, write
from tests.support.waiting import wait_until_settled

OLD = time.time() - 3600
EDITED = "task-7"  # the id of a pending task that `edited` changes
SECRET = "sk-ant-abcdefghijklmnopqrstuvwxyz"
STATUS = {"id": "other", "title": "Other", "status": "review"}


def let_age(place: Place) -> None:
    """Make all JSON files an hour old: a session that writes no more."""
    for path in place.home.rglob("*.json"):
        os.utime(path, (OLD, OLD))
    wait_until_settled(place.home)


def get_index(place: Place) -> Path:
    """Return the derived index, of which there is one."""
    (index,) = (place.home / ".cache").rglob("index-*.sqlite3")
    return index


# Each changes the tasks of a `.loki/` folder.


def edited(loki: Path) -> None:
    """Change a task in place, with the size and the modification time of before."""
    path = loki / "queue/pending.json"
    path.write_text(path.read_text().replace(f'"{EDITED}"', '"task-X"'))
    os.utime(path, (OLD, OLD))


def done(loki: Path) -> None:
    (loki / "queue/pending.json").rename(loki / "queue/completed.json")


def in_another_queue(loki: Path) -> None:
    write(loki / "queue/review.json", [STATUS])


def in_the_state_file(loki: Path) -> None:
    write(loki / "dashboard-state.json", {"tasks": {"review": [STATUS]}})


def alone(loki: Path) -> None:
    write(loki / "queue/task-1.json", STATUS)


def gone(loki: Path) -> None:
    loki.rename(loki.parent / "before")


CHANGES = (edited, done, in_another_queue, in_the_state_file, alone, gone)

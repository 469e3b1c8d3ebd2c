"""Take the pictures of the page: `python -m tests.browser.pictures docs/screenshots`."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from tests.browser.conftest import FLAGS, find_chromium
from tests.browser.watching import Watched, settled
from tests.support import places
from tests.support.servers import Server, serving

WIDE, TABLET, PHONE = (1440, 900), (1024, 768), (390, 844)
PICTURES = [
    *((view, "light", WIDE) for view in ("now", "tasks", "agents", "timeline", "logs", "cost")),
    *((view, "light", WIDE) for view in ("council", "memory", "learning", "fleet")),
    *((view, "light", TABLET) for view in ("checkpoints", "projects", "admin")),
    *((view, "dark", WIDE) for view in ("now", "cost")),
    *((view, "dark", TABLET) for view in ("alerts", "iterations")),
    *((view, "light", PHONE) for view in ("now", "tasks")),
]
_QUALITY = 33  # of JPEG: all together stay below a megabyte


@contextmanager
def _running_session() -> Iterator[Server]:
    with TemporaryDirectory() as folder, subprocess.Popen(["sleep", "3600"]) as process:
        try:
            place = places.recorded(Path(folder, "p"), live_pid=process.pid, today=True)
            with serving(place) as server:
                yield server
        finally:
            process.kill()


def main(folder: Path) -> None:
    with _running_session() as server, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for view, scheme, (width, height) in PICTURES:
            page = chromium.new_page(
                color_scheme="dark" if scheme == "dark" else "light",
                viewport={"width": width, "height": height},
                reduced_motion="reduce",
            )
            watched = Watched(page)
            page.goto(f"{server.url}/#/{view}")
            settled(watched)
            name = f"{view}-{scheme}-{width}.jpeg"
            page.screenshot(path=folder / name, type="jpeg", quality=_QUALITY)
            page.close()
        chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

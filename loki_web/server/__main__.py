"""`python -P -m loki_web.server`: gunicorn without the current folder in the module path."""

import os

from gunicorn.app.wsgiapp import WSGIApplication


class _Application(WSGIApplication):  # type: ignore[misc]  # gunicorn has no types
    def chdir(self) -> None:
        """Enter the configured folder, by default that of the project.

        gunicorn also puts it first in the module path, where a `flask.py` that an agent wrote into
        the project would be imported.
        """
        os.chdir(self.cfg.chdir)


_Application("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn").run()

"""The settings of the server that this process is, or is one worker of."""

import functools

from loki_web.config.settings import Settings


@functools.cache
def settings_of_this_server() -> Settings:
    """Those of the environment, checked once: by the gunicorn master, before it forks.

    A worker that comes later, in the place of one that died, must not end because of what is not
    there at that moment.

    :raises SettingsError: as `Settings.from_env`.
    """
    return Settings.from_env()

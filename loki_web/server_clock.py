"""Start time of the server. The gunicorn master imports it before it forks, for all workers."""

import time

STARTED_AT = time.time()

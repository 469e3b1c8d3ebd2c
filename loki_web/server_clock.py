"""When this server started. The gunicorn master imports it before it forks: all workers agree."""

import time

STARTED_AT = time.time()

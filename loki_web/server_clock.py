"""When this server started. The gunicorn master imports it before it forks, so all workers agree."""

import time

STARTED_AT = time.time()

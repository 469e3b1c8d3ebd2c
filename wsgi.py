"""What gunicorn serves: `gunicorn -c gunicorn.conf.py wsgi:app`."""

from loki_web.app import create_app

app = create_app()

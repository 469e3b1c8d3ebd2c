"""gunicorn: worker classes, upgrades, and what of it we rely on."""

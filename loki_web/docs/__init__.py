"""A page for people that shows what `/openapi.json` says to machines; it loads nothing else."""

"""`deploy`: write the example configuration files that the package carries."""

import os
import shutil
from pathlib import Path

import click

import loki_web

_SOURCE = Path(loki_web.__file__).parent / "deploy"


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def deploy(folder: Path) -> None:
    """Write examples for nginx, systemd, Docker, Kubernetes and Prometheus to the folder DIR.

    Existing files are never overwritten: if there is one, nothing is written.
    """
    sources = sorted(path for path in _SOURCE.rglob("*") if path.is_file())
    targets = {folder / source.relative_to(_SOURCE): source for source in sources}
    for target in targets:
        for path in (target, *target.parents):
            if os.path.lexists(path) and (path == target or not path.is_dir()):
                raise click.ClickException(f"{path} exists; nothing was written")
    for target, source in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        click.echo(target)

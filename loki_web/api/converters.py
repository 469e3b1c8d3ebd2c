"""What may stand in an address where a rule has a variable."""

from werkzeug.routing import PathConverter


class Anything(PathConverter):
    """Text with slashes in it, a leading one too: a project's path names the project."""

    part_isolating = False
    regex = ".+?"

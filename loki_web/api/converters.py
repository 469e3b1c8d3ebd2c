"""What may stand in an address where a rule has a variable."""

from werkzeug.routing import PathConverter


class Anything(PathConverter):
    """A word without slashes, or an absolute path: both name a project."""

    part_isolating = False
    regex = "/.*?|[^/]+"

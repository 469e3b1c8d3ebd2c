"""What goes in and out of every route, one module a resource, named like its blueprint."""

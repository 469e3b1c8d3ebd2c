"""All sockets and event streams of a process, in one event loop."""

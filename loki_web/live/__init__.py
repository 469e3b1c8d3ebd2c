"""The live feed: changes of the files as messages on WebSockets and event streams.

The way of a change: `feed/watcher` detects it, `feed/feed` reads the affected channels again, a
slice (`feed/state`) returns the new messages, `hub` writes them to the subscribed connections.
"""

"""The live feed: what changes in the files, as messages on sockets and event streams.

From the disk to a client: `watcher` notices that something changed, `feed` reads it again, a
`slice` tells what is new, `hub` writes it to the connections that asked for its channel.
"""

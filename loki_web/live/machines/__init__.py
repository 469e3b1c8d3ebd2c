"""The live feed across machines: publishes the sessions of this one, and follows those of others.

Each session has a stream in Redis. An entry has the messages of one change of a channel, and names
the entry before it, so that a reader notices when entries are missing, for whatever reason. The ids
are chosen by the publisher: what is sent again, because Redis did not answer or has lost it, has
the same id, so nobody gets it twice.
"""

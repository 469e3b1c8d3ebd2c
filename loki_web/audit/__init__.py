"""The audit log: recording, hash chain, queries, verification and forwarding to syslog."""

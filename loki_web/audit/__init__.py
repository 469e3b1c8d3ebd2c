"""The audit log: its entries, their hash chain, queries, verification and syslog."""

"""Learning records from events and signals: index, lists, counts and aggregations."""

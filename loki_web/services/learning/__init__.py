"""What events and signals teach: records, counts, lists and aggregations."""

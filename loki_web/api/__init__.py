"""The REST API: one blueprint module a resource."""

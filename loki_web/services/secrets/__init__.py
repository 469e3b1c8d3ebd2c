"""How secrets look, for redaction."""

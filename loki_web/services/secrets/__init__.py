"""Names, values and formats by which redaction recognizes secrets."""

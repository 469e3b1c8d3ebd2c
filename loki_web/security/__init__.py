"""Who may ask, from where, and how often. Predicates are apart from their wiring (`guard`)."""

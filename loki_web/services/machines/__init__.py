"""Sessions of other machines, and revoked tokens, as told through Redis."""

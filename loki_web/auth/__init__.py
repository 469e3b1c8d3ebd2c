"""Who may do what: scopes, tokens, identities and OIDC."""

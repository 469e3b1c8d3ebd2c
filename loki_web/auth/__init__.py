"""Authentication and authorization: scopes, tokens, identities and OIDC."""

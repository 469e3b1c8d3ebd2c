"""All projects of this user: which one is shown, and what each one is doing."""

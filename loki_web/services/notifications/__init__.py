"""Notifications and the triggers that cause them."""

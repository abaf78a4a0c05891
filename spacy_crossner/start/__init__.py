"""A project for one's own labels and languages."""

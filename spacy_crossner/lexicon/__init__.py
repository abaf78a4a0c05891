"""Dictionaries and code-switching."""

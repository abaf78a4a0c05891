"""Fault injection: hostile texts, damaged and malformed files, and commands that are killed."""

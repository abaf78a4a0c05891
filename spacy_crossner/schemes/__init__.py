"""Spans to labels and back: pure functions, no torch, no spaCy."""

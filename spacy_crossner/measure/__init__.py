"""Figures, tables, pictures."""

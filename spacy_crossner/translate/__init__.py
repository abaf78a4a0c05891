"""Views from translation and dictionaries."""

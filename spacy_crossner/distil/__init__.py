"""Teacher labels target text; what is kept of it."""

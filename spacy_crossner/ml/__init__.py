"""Torch modules, objectives and the Thinc glue around them."""

"""How a recipe becomes a pipeline."""

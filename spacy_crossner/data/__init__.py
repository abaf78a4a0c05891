"""The documents that train: views, converters, readers, batchers."""

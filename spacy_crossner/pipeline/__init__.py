"""What spaCy sees: components and the tokenizer."""

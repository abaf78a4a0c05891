"""Fixtures that every test may use: a tiny random encoder, and deterministic property tests."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

import pytest
from hypothesis import settings

from tests.tiny import write_tiny_encoder

# the same examples in every run; HYPOTHESIS_PROFILE=default searches for new ones
settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "deterministic"))


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face directory: 4-layer random BERT, 32 wide, with a unigram tokenizer."""
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="session")
def embedded_encoder() -> Path:
    """The embedded encoder, kept in the user's cache; tests with it are marked `embedded`."""
    from spacy_crossner.ship.download import cache_folder
    from spacy_crossner.ship.embedded import write_encoder

    path = cache_folder() / "encoder"
    write_encoder(path)
    return path

"""Fixtures that every test may use: a tiny random encoder, and deterministic property tests."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

import pytest
from hypothesis import settings
from safetensors.torch import load_file, save_file

from tests.absence import hide_optional
from tests.tiny import write_tiny_encoder

# the same examples in every run; HYPOTHESIS_PROFILE=default searches for new ones
settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "deterministic"))

# A sample corpus of a few sentences, in the format of assets/sample.
SENTENCES = {
    "en/train-news.txt": [
        "n1\t[PER Angela Merkel] visited [LOC Berlin].",
        "n2\t[PER Maria Silva] works at [ORG Acme Corp] in [LOC Paris].",
        "n3\tthe bank in the city was by the river",
    ],
    "en/dev.txt": ["d1\t[LOC London] and [LOC Paris]", "d2\t[PER Maria] was at [ORG Acme Corp]"],
    "de/memory.txt": ["n1\t[PER Angela Merkel] war in [LOC Berlin]."],
    "de/unlabelled.txt": ["de-1\tMaria war in Spain."],
    "de/test.txt": ["t1\tder president war in [LOC Paris]", "t2\tdie bank"],
    "zh/test.txt": ["t1\t[PER 李明]在[ORG 北京大学]。"],
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without-optional",
        action="store_true",
        help="hide system programs and the packages of optional extras",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--without-optional"):
        hide_optional()


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face directory: 4-layer random BERT, 32 wide, with a unigram tokenizer."""
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="session")
def half_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny encoder, with word embeddings that 16 bits hold exactly."""
    path = write_tiny_encoder(tmp_path_factory.mktemp("half") / "encoder")
    state = load_file(path / "model.safetensors")
    key = "embeddings.word_embeddings.weight"
    state[key] = state[key].half().float()
    save_file(state, path / "model.safetensors", metadata={"format": "pt"})
    return path


@pytest.fixture(scope="session")
def embedded_encoder() -> Path:
    """The embedded encoder, kept in the user's cache; tests with it are marked `embedded`."""
    from spacy_crossner.ship.download import cache_folder
    from spacy_crossner.ship.embedded import write_encoder

    path = cache_folder() / "encoder"
    write_encoder(path)
    return path


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """The folder of a sample corpus of a few sentences."""
    folder = tmp_path / "sample"
    for name, lines in SENTENCES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf8")
    return folder

"""Names that readers understand: of languages and of pipelines."""

from collections.abc import Iterable
from pathlib import Path

from spacy.language import Language

from spacy_crossner.data.languages import LANGUAGES

# spaCy's default name and version of a pipeline.
UNNAMED = "pipeline"
NO_VERSION = "0.0.0"


def language_name(code: str) -> str:
    """Name a language, or what a test file is called by.

    code (str): A language code, perhaps with more behind it: "de", "de-news".
    RETURNS (str): Its English name: "German", "German (news)"; the code if it is not known.
    """
    lang, _, rest = code.partition("-")
    name = "Multilingual" if lang == "xx" else LANGUAGES[lang].name if lang in LANGUAGES else ""
    if not name:
        return code
    return f"{name} ({rest})" if rest else name


def join_langs(langs: Iterable[str]) -> str:
    """Name the language of a file by those of its docs: "xx" if they differ."""
    codes = set(langs)
    return codes.pop() if len(codes) == 1 else "xx"


def pipeline_version(nlp: Language) -> str:
    """Get the version of a pipeline, empty if it is spaCy's default."""
    return "" if nlp.meta["version"] == NO_VERSION else nlp.meta["version"]


def pipeline_name(nlp: Language, path: str) -> str:
    """Name a pipeline.

    nlp (Language): The pipeline.
    path (str): Where it was loaded from.
    RETURNS (str): Its full name, such as "xx_crossner_trf"; the end of the path, such as
        "training/calibrated", if it has no name.
    """
    name = nlp.meta["name"]
    return "/".join(Path(path).parts[-2:]) if name == UNNAMED else f"{nlp.lang}_{name}"

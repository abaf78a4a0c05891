"""Damaged and malformed files: each is an error with a code, or changes nothing."""

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from spacy.vocab import Vocab

from benchmarks.faults.texts import describe
from spacy_crossner.data.convert import convert
from spacy_crossner.data.shards import read_docs, write_docs
from spacy_crossner.data.view import View, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.lexicon.lexicon import Lexicon, Row, read_lexicon, write_lexicon
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.translate.cache import Cache
from spacy_crossner.translate.engines import Segment

TEXTS = ("Angela Merkel visited Berlin.", "It's in London (UK).", "李明在北京大学。")
# Made to be edited: what is valid there is used.
EDITED = ("config.cfg", "meta.json")
SAMPLES = {
    "a.iob2": "Angela\tB-PER\nMerkel\tI-PER\nvisited\tO\nBerlin\tB-LOC\n\nIt\tO\nrained\tO\n\n" * 3,
    "a.conll": "-DOCSTART- O\n\nAngela NNP B-PER\nMerkel NNP I-PER\nslept VBD O\n\n" * 3,
    "a.conllu": "# text = Ana slept\n"
    + "1\tAna\t_\t_\t_\t_\t_\t_\t_\t_\n2\tslept\t_\t_\t_\t_\t_\t_\t_\t_\n\n" * 3,
    "a.jsonl": '{"text": "Ana slept in Rome", "spans": [{"start": 0, "end": 3, "label": "PER"}]}\n'
    * 3,
    "a.json": '[{"text": "Ana slept", "entities": [{"start": 0, "end": 3, "label": "PER"}]}]\n',
    "a.txt": "Ana slept in Rome.\nIt rained.\n",
}
HOSTILE = (
    *(
        "\0",
        "\ud800".encode("utf8", "surrogatepass").decode("latin1"),
        "\r",
        "\t",
        "\n\n",
        '"',
        "{",
    ),
    *(
        "[" * 50_000,
        "9" * 5_000,
        "B-",
        "I-PER",
        "# text = ",
        "\ufeff",
        "\u2028",
        "null",
        "-1",
        "1e999",
    ),
)


def flip(data: bytes, generator: random.Random) -> bytes:
    """Damage data: flip a bit, truncate, or overwrite a run of bytes with zeros."""
    damaged = bytearray(data)
    place = generator.randrange(len(data)) if data else 0
    kind = generator.random()
    if kind < 0.8 and data:
        damaged[place] ^= 1 << generator.randrange(8)
    elif kind < 0.9:
        del damaged[place:]
    else:
        damaged[place : place + 16] = bytes(len(damaged[place : place + 16]))
    return bytes(damaged)


def judge(found: Counter[str], read: Callable[[], Any], expected: Any) -> None:
    """Count how a damaged file is taken."""
    try:
        result = read()
    except CrossnerError:
        found["coded errors"] += 1
    except Exception:
        found["other exceptions"] += 1
    else:
        found["same result" if result == expected else "changed in silence"] += 1


def damage_pipeline(folder: Path, number: int, seed: int = 0) -> Counter[str]:
    """Damage one file of a pipeline at a time, and predict with it.

    folder (Path): The pipeline.
    number (int): How many times.
    seed (int): Seed of the damage.
    RETURNS (Counter[str]): How often what happened.
    """
    generator = random.Random(seed)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
    files = [path for path in files if path.name not in EDITED]

    def predict(path: Path) -> list:
        nlp = load_pipeline(path)
        docs = [nlp(text) for text in TEXTS]
        return [[[token.text for token in doc] for doc in docs], [*map(describe, docs)]]

    found: Counter[str] = Counter({"changed in silence": 0, "other exceptions": 0})
    expected = predict(folder)
    with tempfile.TemporaryDirectory() as scratch:
        copy, temporary = Path(scratch) / "pipeline", Path(scratch) / "temporary"
        shutil.copytree(folder, copy)
        temporary.mkdir()
        # other processes write to the usual folder for temporary files
        with patch.object(tempfile, "tempdir", str(temporary)):
            for _ in range(number):
                path = generator.choice(files)
                damaged = copy / path.relative_to(folder)
                damaged.write_bytes(flip(path.read_bytes(), generator))
                judge(found, lambda: predict(copy), expected)
                shutil.copyfile(path, damaged)
        found["folders left"] = sum(path.is_dir() for path in temporary.iterdir())
    return found


def damage_data(number: int, seed: int = 0) -> dict[str, Counter[str]]:
    """Damage a shard, a cache of translations and a lexicon, and read them.

    number (int): How many times in all.
    seed (int): Seed of the damage.
    RETURNS (dict[str, Counter[str]]): For each, how often what happened.
    """
    from spacy.tokens import Doc, Span

    generator = random.Random(seed)
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        doc = Doc(Vocab(), ["Angela", "Merkel", "slept"])
        doc.set_ents([Span(doc, 0, 2, "PER")])
        set_view(doc, View("group", "source", "en"))
        write_docs(folder / "a.spacy", [doc])
        write_lexicon(folder / "a.tsv", Lexicon("en", "de", [Row("bank", "", "Bank", 1.0)]))
        cache = Cache(folder / "a.cache")
        kept = {str(i): Segment(f"text {i}") for i in range(50)}
        cache.put(kept)
        cache.close()

        def read_shard(path: Path) -> list:
            return [describe(one) for one in read_docs(path, Vocab())]

        def read_cache(path: Path) -> dict:
            opened = Cache(path)
            try:
                # what the cache has lost is translated again
                return kept | opened.get(kept)
            finally:
                opened.close()

        readers: dict[str, Callable[[Path], Any]] = {
            "a.spacy": read_shard,
            "a.tsv": lambda path: vars(read_lexicon(path, "en", "de")),
            "a.cache": read_cache,
        }
        for place, (name, read) in enumerate(readers.items()):
            path = folder / name
            whole, expected = path.read_bytes(), read(path)
            found[name] = Counter({"changed in silence": 0, "other exceptions": 0})
            for _ in range(place, number, len(readers)):
                path.write_bytes(flip(whole, generator))
                judge(found[name], lambda path=path, read=read: read(path), expected)  # type: ignore[misc]
            path.write_bytes(whole)
    return found


def convert_malformed(number: int, seed: int = 0) -> Counter[str]:
    """Convert files of every text format with a hostile piece put in, or with damage.

    number (int): How many files.
    seed (int): Seed of the changes.
    RETURNS (Counter[str]): How often what happened.
    """
    generator = random.Random(seed)
    found: Counter[str] = Counter({"tracebacks": 0})
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(number):
            name, content = generator.choice(list(SAMPLES.items()))
            data = content.encode()
            if generator.random() < 0.5:
                place = generator.randrange(len(content))
                piece = generator.choice(HOSTILE)
                data = (content[:place] + piece + content[place:]).encode("utf8", "surrogatepass")
            else:
                data = flip(data, generator)
            path = Path(scratch) / name
            path.write_bytes(data)
            try:
                convert([path], Path(scratch) / "out.spacy", lang="en")
                found["converted"] += 1
            except CrossnerError:
                found["coded errors"] += 1
            except Exception as error:
                found["tracebacks"] += 1
                found[f"{name}: {error!r}"[:120]] += 1
    return found

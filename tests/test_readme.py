"""What can be run in the README and the pages for users is run, on small data, a tiny encoder."""

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import invalidate_caches
from importlib.metadata import distribution
from pathlib import Path

import pytest
import typer
from spacy.cli._util import app
from spacy.cli.init_config import fill_config
from spacy.training.initialize import init_nlp
from spacy.util import load_config, resolve_dot_names
from thinc.api import Config
from transformers import BertConfig, BertModel
from typer.testing import CliRunner

from benchmarks.__main__ import app as laboratory
from spacy_crossner import cli
from spacy_crossner.data.convert import convert
from spacy_crossner.data.sample import make_corpus
from spacy_crossner.lexicon.dictionaries import freedict_indexes
from spacy_crossner.translate.engine_memory import read_rows
from tests.pipelines import TRAIN_DATA, make_examples, make_nlp, train
from tests.test_lexicon import write_dictd
from tests.tiny import write_tiny_encoder

ROOT = Path(__file__).parent.parent
PAGES = [
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("own-data", "recipes", "views", "benchmark")),
]
README = PAGES[0].read_text(encoding="utf8")
ALL = "\n".join(path.read_text(encoding="utf8") for path in PAGES)
SPACY = ["python", "-m", "spacy"]
BENCHMARKS = ["python", "-m", "benchmarks"]
CROSSNER = [*SPACY, "crossner"]

# Commands that are only looked at, by their beginnings, and why.
NOT_RUN = {
    "python -m pip install -c constraints.txt": "installs this package, which is there",
    "python -m pytest": "is running",
    "python -m spacy project run all": "takes half an hour; test_project runs its parts",
    "python -m spacy crossner encoder --source xlm-roberta-base": "needs the model hub",
    "python -m spacy train configs/crossner.cfg --output training/xlmr": "needs that encoder",
    "python -m spacy train configs/crossner.cfg --output training/teacher": "there is one",
    "python -m benchmarks benchmark uner": "trains for hours; see test_benchmark",
    "python -m benchmarks faults": "takes hours; see test_faults",
    "python -m benchmarks labels": "trains for minutes; see test_labels",
    "prodigy db-out": "another program",
    **{
        f"python -m spacy crossner convert {export}": "an export of the user; see test_formats"
        for export in (
            *("prodigy.jsonl", "doccano.jsonl", "label-studio.json", "brat/", "inception.tsv"),
            "dataset/",
        )
    },
}
# What makes a command quick, behind what the README says.
QUICK = {
    "python -m spacy crossner encoder": "--source {tiny} --force",
    "python -m spacy train": "--training.max_steps 2 --training.eval_frequency 2",
    "python -m spacy crossner train": "--steps 2",
    # a tiny teacher is not sure
    "python -m spacy crossner select": "--min-certainty 0",
    "python -m benchmarks speed": "--what prediction,training --runs 1 --limit 2",
}
# Target languages of the sample that the README speaks of.
LANGUAGES = ("de", "es", "fr")


@dataclass
class Block:
    """A fenced block: its language, its text, and the line where it begins."""

    lang: str
    text: str
    line: int

    def commands(self) -> list[str]:
        """Split a shell block into commands."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [part.strip() for line in lines for part in line.split("&&") if part.strip()]


BLOCKS = [
    Block(found[1], found[2], ALL[: found.start()].count("\n") + 2)
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", ALL, re.MULTILINE | re.DOTALL)
]
COMMANDS = [
    (command, block.line)
    for block in BLOCKS
    if block.lang == "bash"
    for command in block.commands()
]
PROSE = re.sub(r"^```.*?^```$", "", ALL, flags=re.MULTILINE | re.DOTALL)
OURS = typer.main.get_command(cli.app).commands
# Commands and options that the text speaks of.
MENTIONED = sorted(
    {
        code
        for code in (" ".join(found.split()) for found in re.findall(r"`([^`]+)`", PROSE))
        if code.startswith(("python -m spacy", "--")) or (" " in code and code.split()[0] in OURS)
    }
)


def find(prefixes, command: str) -> str:
    """Find the longest of the prefixes that a command starts with, or an empty string."""
    return max((one for one in prefixes if command.startswith(one)), key=len, default="")


def parse(command: str) -> tuple[typer.core.TyperCommand, dict, list[str]]:
    """Find a command of spaCy or ours, and read its options without running it.

    RETURNS (tuple): The command, its parameters, and what is left over.
    """
    words = shlex.split(command)
    assert words[:3] in (SPACY, BENCHMARKS), command
    found, words = typer.main.get_command(laboratory if words[:3] == BENCHMARKS else app), words[3:]
    while hasattr(found, "commands") and words != ["--help"]:
        assert words[0] in found.commands, f"there is no {words[0]!r}: {command}"
        found, words = found.commands[words[0]], words[1:]
    # an unknown option is an error here, unless the command takes overrides
    context = found.context_class(found, info_name=found.name, **found.context_settings)
    given, rest, _ = found.make_parser(context).parse_args(list(words))
    return found, given, rest


def check_command(command: str) -> None:
    """Fail if a command line has an option that does not exist, or lacks one that is needed."""
    found, given, rest = parse(command)
    for parameter in found.params:
        assert not parameter.required or is_given(given.get(parameter.name)), parameter.name
    # what is no option of `spacy train` is a setting of its config
    for word in rest:
        assert not word.startswith("--") or re.match(r"--\w+(\.\w+)+$", word), word


def is_given(value) -> bool:
    return isinstance(value, (str, list, tuple)) and bool(value)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Path:
    """A checkout of a few sentences: what the README's commands find before them."""
    folder = tmp_path_factory.mktemp("readme")
    encoder = write_tiny_encoder(folder / "tiny")
    # as many positions as the recipes' windows take
    config = BertConfig.from_pretrained(encoder, max_position_embeddings=300)
    BertModel(config, add_pooling_layer=False).save_pretrained(encoder)
    shutil.copytree(ROOT / "configs", folder / "configs")
    copy_sample(ROOT / "assets" / "sample", folder / "assets" / "sample")
    make_corpus(folder / "assets" / "sample", folder / "corpus", LANGUAGES)
    # a teacher of the student's kind: one of two steps would teach nothing
    head = load_config(ROOT / "configs" / "crossner.cfg")["nlp"]["pipeline"][-1]
    nlp = make_nlp(encoder, **{head: {}})
    train(nlp, make_examples(nlp), steps=60)
    (folder / "training" / "teacher").mkdir(parents=True)
    nlp.to_disk(folder / "training" / "teacher" / "model-last")
    # what a person has
    for name in ("my-labels", "my-dev", "labels", "dev"):
        convert([folder / "corpus" / "source.spacy"], folder / f"{name}.conll")
    convert([folder / "corpus" / "test-de.spacy"], folder / "german-test.conll")
    texts = [text for text, _ in TRAIN_DATA]
    for name in ("my-german-text.txt", "my-italian-text.txt", "italian.txt", "german.txt"):
        (folder / name).write_text("\n".join(texts) + "\n", encoding="utf8")
    return folder


def copy_sample(source: Path, target: Path, most: int = 16) -> None:
    for lang, name in [("en", "train-news.txt"), ("en", "dev.txt")] + [
        (lang, f"{kind}.txt") for lang in LANGUAGES for kind in ("memory", "test", "unlabelled")
    ]:
        (target / lang).mkdir(parents=True, exist_ok=True)
        lines = (source / lang / name).read_text(encoding="utf8").splitlines()[: most + 1]
        (target / lang / name).write_text("\n".join(lines) + "\n", encoding="utf8")


@pytest.fixture
def dictionary(tmp_path, monkeypatch):
    """FreeDict as Debian installs it."""
    write_dictd(tmp_path, "eng-deu", ["Monday /x/\nMontag", "harbour /x/\nHafen"])
    monkeypatch.setitem(freedict_indexes.__kwdefaults__, "directory", tmp_path)


def run_command(command: str) -> None:
    """Run a command of a shell block, made quick."""
    more = QUICK[find(QUICK, command)] if find(QUICK, command) else ""
    words = shlex.split(command) + more.format(tiny="tiny", site="site").split()
    if words[0] == "cd":
        assert Path(words[1]).is_dir()
        return
    if words[:3] in (SPACY, BENCHMARKS):
        result = CliRunner().invoke(app if words[:3] == SPACY else laboratory, words[3:])
        assert result.exit_code == 0, (command, result.output, result.exception)
        return
    done = subprocess.run(
        [sys.executable if words[0] == "python" else words[0], *words[1:]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (command, done.stderr)
    # a wheel may have come
    invalidate_caches()


def check_config(config: Config, text: str) -> Config:
    """Lay a block over a config, fill it up, initialize the pipeline, and read its corpora.

    RETURNS (Config): The config as it was written, not filled up.
    """
    config = Config().from_str(f"{config.to_str()}\n{text}", interpolate=False)
    config.to_disk("base.cfg", interpolate=False)
    _, filled = fill_config(Path("filled.cfg"), Path("base.cfg"), silent=True)
    nlp = init_nlp(filled)
    assert nlp.get_pipe("token_pair_ner").labels == ("LOC", "ORG", "PER")
    names = ["corpora.train", "corpora.dev"]
    for read in resolve_dot_names(nlp.config.interpolate(), names):
        assert next(read(nlp)).reference.has_annotation("ENT_IOB")
    return config


def test_no_block_is_overlooked():
    fences = [line for line in ALL.splitlines() if line.strip().startswith(("```", "~~~"))]
    assert len(fences) == 2 * len(BLOCKS)
    assert {block.lang for block in BLOCKS} <= {
        "text",
        "python",
        "bash",
        "ini",
        "conll",
        "json",
        "tsv",
    }


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 260


@pytest.mark.parametrize(("command", "line"), COMMANDS, ids=[f"line{n}" for _, n in COMMANDS])
def test_commands_exist_with_their_options(command, line):
    if shlex.split(command)[:3] not in (SPACY, BENCHMARKS):
        assert find((*NOT_RUN, *QUICK, "cd "), command), command
        return
    check_command(command)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("python -m spacy crossner evalute model test.spacy", "there is no 'evalute'"),
        ("python -m spacy crossner evaluate model test.spacy --outptu x", "(?i)no such option"),
        ("python -m spacy crossner evaluate model", "tests"),
        ("python -m spacy crossner lexicon de.tsv --to de", "source"),
        ("python -m spacy train config.cfg --ouptut x", "--ouptut"),
    ],
)
def test_a_wrong_command_is_noticed(command, problem):
    with pytest.raises(Exception, match=problem):
        check_command(command)


@pytest.mark.parametrize("code", MENTIONED)
def test_commands_and_options_in_the_text_exist(code):
    """Such as `--threshold`, `convert --drop-labels TYPE` or a whole command line."""
    if not code.startswith("--"):
        parse(code if code.startswith("python") else " ".join([*CROSSNER, code]))
    elif "." not in code and code != "--help":
        known = [*OURS.values(), typer.main.get_command(app).commands["train"]]
        known += typer.main.get_command(laboratory).commands.values()
        options = {one for command in known for p in command.params for one in p.opts}
        options |= {one for command in known for p in command.params for one in p.secondary_opts}
        assert code.split()[0] in options


def test_names_exist():
    """Those of registries and of relative links."""
    names = {point.name for point in distribution("spacy-crossner").entry_points}
    assert set(re.findall(r"spacy-crossner\.\w+\.v\d", ALL)) <= names
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    }
    for link in re.findall(r"\]\(([^)]+)\)", README):
        if link.startswith("#"):
            assert link[1:] in anchors
        elif "://" not in link:
            assert (ROOT / link).exists(), link


def test_blocks_run(workspace, dictionary, monkeypatch):
    """In the order of the README, each with what those before it have made."""
    monkeypatch.chdir(workspace)
    monkeypatch.syspath_prepend(workspace / "site")
    namespace: dict = {}
    config = Config()
    left_out = set()
    for block in BLOCKS:
        if block.lang == "conll":
            Path("block.conll").write_text(block.text, encoding="utf8")
            assert convert([Path("block.conll")], Path("block.spacy"), strict=True).entities
        elif block.lang == "tsv":
            Path("block.tsv").write_text(block.text, encoding="utf8")
            (row,) = read_rows([Path("block.tsv")], "en", "it")
            assert set(row) == {"en", "it"}
        elif block.lang == "json":
            Path("sources.json").write_text(block.text, encoding="utf8")
        elif block.lang == "python":
            code = compile("\n" * (block.line - 1) + block.text, "README.md", "exec")
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code, namespace)
        elif block.lang == "ini":
            config = check_config(config, block.text)
        elif block.lang == "bash":
            for command in block.commands():
                reason = find(NOT_RUN, command)
                left_out.add(reason)
                if not reason:
                    run_command(command)
    assert left_out == {"", *NOT_RUN}

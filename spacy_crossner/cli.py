"""`python -m spacy crossner COMMAND`: parse, call, print.

Each command is a thin shell around a plain function that can be imported. Those functions are
imported inside the commands: `python -m spacy --help` loads this module, and must stay quick.
"""

import errno
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Optional

import typer
from spacy.cli._util import app as spacy_app
from wasabi import msg

from spacy_crossner.about import __version__
from spacy_crossner.errors import CrossnerError, Errors

app = typer.Typer(
    name="crossner",
    help="Cross-lingual NER: train where labels are, ship where none are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
spacy_app.add_typer(app, name="crossner")


def command(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a command whose user errors end in one clear line with its name, and exit code 1.

    name (str): The name after `python -m spacy crossner`.
    RETURNS (Callable): The decorator.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @app.command(name)
        @functools.wraps(function)
        def shell(*args: Any, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
            except Exception as error:
                message = explain(error)
                if message is None:
                    raise
                msg.fail(f"crossner {name}: {message}")
                raise typer.Exit(1) from None

        return shell

    return decorate


def explain(error: Exception) -> Optional[str]:
    """Say what a user can do about an error.

    error (Exception): What stopped a command.
    RETURNS (Optional[str]): The message, or None if the mistake is ours.
    """
    from spacy_crossner.files import is_disk_full

    if isinstance(error, CrossnerError):
        return str(error)
    path = getattr(error, "filename", None) or "what the command writes"
    if is_disk_full(error):
        return Errors.CN015.format(path=path)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return Errors.CN016.format(path=path, reason=error.strerror)
    return None


@command("encoder")
def encoder_cli(
    output: Annotated[Path, typer.Option(help="The folder to write.")],
    source: Annotated[
        str,
        typer.Option(
            help="embedded (multilingual-e5-small, from the package index), a folder, or a name on "
            "the Hugging Face hub."
        ),
    ] = "embedded",
    force: Annotated[
        bool, typer.Option("--force", help="Replace the folder, whatever it holds.")
    ] = False,
) -> None:
    """Write an encoder as a Hugging Face folder, by default one that needs no model hub."""
    from spacy_crossner.ship.embedded import write_encoder

    if write_encoder(output, source, force=force):
        msg.good(f"Wrote the encoder to {output}")
    else:
        msg.info(f"Nothing to do: {output} holds this encoder already")


@command("init")
def init_cli(
    folder: Annotated[Path, typer.Argument(help="The project folder to make, or to add to.")],
    labels: Annotated[
        Optional[Path],
        typer.Option(help="Labelled sentences: CoNLL, IOB, BIOES, JSONL or .spacy."),
    ] = None,
    source: Annotated[Optional[str], typer.Option(help="Their language: en.")] = None,
    targets: Annotated[
        Optional[str], typer.Option(help="Languages to find entities in: it,de.")
    ] = None,
    text: Annotated[
        Optional[list[str]],
        typer.Option(help="LANGUAGE=FILE, plain text of a target language, a line each; repeat."),
    ] = None,
    test: Annotated[
        Optional[list[str]],
        typer.Option(help="LANGUAGE=FILE, labelled test sentences; repeat."),
    ] = None,
    dictionary: Annotated[
        Optional[list[str]],
        typer.Option(
            help="LANGUAGE=FILE, a .tsv of words and translations, or a Wiktionary file (.txt); "
            "repeat. FreeDict dictionaries are found where they are installed."
        ),
    ] = None,
    memory: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="Translated sentences, such as a .tsv whose first line names the languages; see "
            "translate; repeat."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="A translation model: a folder or a hub name.")] = "",
    dev: Annotated[
        Optional[Path],
        typer.Option(
            help="Labelled source sentences to select and calibrate on; else a tenth of the labels."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="baseline, concner, mclner or crossner.")
    ] = "crossner",
    encoder: Annotated[
        str, typer.Option(help="embedded, a folder, or a name on the Hugging Face hub.")
    ] = "embedded",
    gpu_id: Annotated[int, typer.Option(help="The GPU to use, -1 for the CPU.")] = -1,
    add_language: Annotated[
        Optional[str],
        typer.Option(help="Add target languages to the project in the folder: it,de."),
    ] = None,
    run: Annotated[
        bool, typer.Option("--run", help="Run the project at once: all that is not done yet.")
    ] = False,
) -> None:
    """Make a project for your own labels and languages, ready to run; or add a language to one.

    Asks for what is not given, checks the data, and says what will happen and how long it takes.
    """
    from spacy_crossner.data.convert import describe as describe_problems
    from spacy_crossner.start.init import Files, add_languages, init, parse_files
    from spacy_crossner.start.plan import describe

    asked = add_language or targets or _ask("target languages (codes, with commas)", "--targets")
    languages = [lang.strip() for lang in asked.split(",") if lang.strip()]
    texts = parse_files(text or [])
    for lang in languages if text is None and sys.stdin.isatty() else ():
        answer = typer.prompt(f"Plain text in {lang} (a file, or nothing)", default="")
        texts |= {lang: Path(answer)} if answer else {}
    files = Files(
        text=texts,
        test=parse_files(test or []),
        dictionary=parse_files(dictionary or []),
        memory=memory or [],
        model=model,
    )
    if add_language is None:
        plan, reports = init(
            folder,
            labels or Path(_ask("labelled file", "--labels")),
            source or _ask("language of the labels (a code)", "--source"),
            languages,
            files,
            dev=dev,
            recipe=recipe,
            encoder=encoder,
            gpu_id=gpu_id,
        )
    else:
        plan, reports, changed = add_languages(folder, languages, files)
        if changed:
            msg.warn("project.yml had been changed, or is of another version: see project.yml.old")
    for report in reports:
        for line in describe_problems(report):
            msg.text(line)
        if report.skipped:
            msg.warn(f"Skipped sentences: {report.skipped}")
    for line in describe(plan):
        msg.text(line)
    msg.good(f"{folder} is ready." if run else f"{folder} is ready. To run it:")
    if run:
        from weasel.cli.run import project_run

        project_run(folder, "all")
    else:
        # a message would be wrapped, and a wrapped command can't be copied
        typer.echo(f"cd {quote(str(folder))} && python -m spacy project run all")


def _ask(what: str, option: str) -> str:
    """RETURNS (str): The answer of who sits at the terminal."""
    if not sys.stdin.isatty():
        raise CrossnerError(Errors.CN035.format(what=what, option=option))
    return str(typer.prompt(what.capitalize()))


@command("convert")
def convert_cli(
    inputs: Annotated[list[Path], typer.Argument(help="Files, or folders of files.")],
    out: Annotated[
        Path,
        typer.Argument(
            help="A .spacy, .iob2, .conll or .jsonl file, or without an ending, a folder of shards."
        ),
    ],
    format: Annotated[
        str, typer.Option(help="auto, iob, iob2, bioes, conllu, jsonl, text or spacy.")
    ] = "auto",
    lang: Annotated[str, typer.Option(help="Language code of the texts.")] = "xx",
    label_map: Annotated[str, typer.Option(help="Rename labels: PER=PERSON,LOC=GPE.")] = "",
    drop_labels: Annotated[
        str, typer.Option(help="Labels whose entities become plain text: OTH,MISC.")
    ] = "",
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Take the labels off: it is target text.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first problem instead of counting it.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="Stop after so many sentences.")] = 0,
    tokenizer: Annotated[
        str,
        typer.Option(help="gold keeps the tokens of the files, text tokenizes their texts anew."),
    ] = "gold",
    misaligned: Annotated[
        str,
        typer.Option(
            help="Entities that cut a token: missing masks the tokens, skip skips the sentence."
        ),
    ] = "missing",
    shard_size: Annotated[
        int, typer.Option(min=0, help="Write a folder of .spacy files with so many docs each.")
    ] = 0,
) -> None:
    """Convert labelled or plain text into docs that train, or back."""
    from spacy_crossner.data.convert import convert, describe, parse_label_map

    report = convert(
        inputs,
        out,
        format=format,
        lang=lang,
        label_map=parse_label_map(label_map),
        drop_labels=[label.strip() for label in drop_labels.split(",") if label.strip()],
        unlabelled=unlabelled,
        strict=strict,
        limit=limit,
        tokenizer=tokenizer,
        misaligned=misaligned,
        shard_size=shard_size,
    )
    for line in describe(report):
        msg.text(line)
    if report.skipped:
        msg.warn(f"Skipped sentences: {report.skipped}")
    counts = ", ".join(f"{label} {count}" for label, count in sorted(report.entities.items()))
    msg.good(
        f"{out}: {report.docs} sentences, {report.tokens} tokens, entities: {counts or 'none'}"
    )


@command("inspect")
def inspect_cli(
    paths: Annotated[list[Path], typer.Argument(help=".spacy files, or folders of them.")],
) -> None:
    """Say what .spacy files hold: views, languages, groups, links, soft targets, labels."""
    from spacy_crossner.data.inspect import inspect, render

    typer.echo(render(inspect(paths)))


@command("sample")
def sample_cli(
    sample: Annotated[Path, typer.Argument(help="Folder of the sample corpus.")],
    output: Annotated[Path, typer.Argument(help="Folder to write .spacy files to.")],
    languages: Annotated[str, typer.Option(help="Target languages: de,es,zh.")],
) -> None:
    """Turn the sample corpus into docs that train: source, views, target text and tests."""
    from spacy_crossner.data.sample import make_corpus

    counts = make_corpus(sample, output, [code for code in languages.split(",") if code])
    for name, count in counts.items():
        msg.good(f"{output / name}.spacy: {count} docs")


@command("prepare")
def prepare_cli(
    dataset: Annotated[str, typer.Argument(help="sample, uner or wikiann.")],
    output: Annotated[Path, typer.Argument(help="Folder to write .spacy files to.")],
    data: Annotated[
        Optional[Path],
        typer.Option(help="Folder of the original files; by default where the project puts them."),
    ] = None,
    unlabelled: Annotated[
        int,
        typer.Option(
            min=1,
            help="Sentences of each target language without labels; sample has a fixed number.",
        ),
    ] = 1000,
) -> None:
    """Turn a data set into docs that train: source and views, target text and tests."""
    from spacy_crossner.measure.datasets import prepare

    prepare(dataset, output, data, unlabelled)
    msg.good(f"{output} holds the data set {dataset}")


@command("evaluate")
def evaluate_cli(
    model: Annotated[str, typer.Argument(help="A pipeline folder, or an installed pipeline.")],
    tests: Annotated[
        list[Path],
        typer.Argument(help=".spacy files with gold entities, or folders with test-*.spacy."),
    ],
    output: Annotated[
        Optional[Path], typer.Option(help="JSON file to write the scores to.")
    ] = None,
    gpu_id: Annotated[int, typer.Option(help="The GPU to use, -1 for the CPU.")] = -1,
) -> None:
    """Score a pipeline per language and type, with seqeval and with spaCy's scorer."""
    from spacy_crossner.measure.evaluate import evaluate, write_scores

    scores = evaluate(Path(model) if Path(model).exists() else model, tests, gpu_id=gpu_id)
    rows = [
        (
            name,
            s["lang"],
            s["docs"],
            *(s["seqeval"][k] for k in "prf"),
            s["seqeval_strict"]["f"],
            s["spacy"]["f"],
        )
        for name, s in scores.items()
    ]
    header = ("file", "lang", "docs", "P", "R", "F1", "strict F1", "spaCy F1")
    msg.table(rows, header=header, divider=True, aligns=("l", "l", *"rrrrrr"))
    types = [
        (name, label, *(values[k] for k in "prf"))
        for name, s in scores.items()
        for label, values in sorted(s["seqeval"]["per_type"].items())
    ]
    msg.table(
        types, header=("file", "type", "P", "R", "F1"), divider=True, aligns=("l", "l", *"rrr")
    )
    if output is not None:
        write_scores(scores, output)
        msg.good(f"Wrote the scores to {output}")


@command("calibrate")
def calibrate_cli(
    model: Annotated[Path, typer.Argument(help="A trained pipeline.")],
    dev: Annotated[Path, typer.Argument(help="Labelled source text that was not trained on.")],
    output: Annotated[Path, typer.Argument(help="Folder to write the calibrated pipeline to.")],
    threshold: Annotated[
        bool,
        typer.Option(
            "--threshold",
            help="Also choose the threshold, and for token labels how much less likely O is than "
            "it seems: the lowest threshold and the largest bias whose F1 is within one standard "
            "error of the best, for scores are lower in languages without labels.",
        ),
    ] = False,
    report: Annotated[
        Optional[Path], typer.Option(help="JSON file to write what was found to.")
    ] = None,
) -> None:
    """Make scores mean what they say: fit a temperature on labelled source text."""
    from dataclasses import asdict

    from spacy_crossner.files import write_json
    from spacy_crossner.measure.calibrate import calibrate_pipeline

    results = calibrate_pipeline(model, dev, output, fit_threshold=threshold)
    if report is not None:
        write_json(report, {name: asdict(result) for name, result in results.items()})
    for name, result in results.items():
        msg.good(
            f"{name}: temperature {result.temperature:.2f}, threshold {result.threshold:.2f}, "
            f"bias {result.bias:.2f}, "
            f"expected calibration error of {result.entities} entities {result.error_before:.3f} "
            f"-> {result.error_after:.3f}"
        )


@command("closeness")
def closeness_cli(
    model: Annotated[str, typer.Argument(help="A pipeline folder, or an installed pipeline.")],
    source: Annotated[Path, typer.Argument(help="A .spacy file of labelled sentences.")],
    translations: Annotated[
        list[Path],
        typer.Argument(help=".spacy files of the same sentences in other languages, labelled."),
    ],
) -> None:
    """Tell how close a pipeline's encoder puts translations: sentences, and tokens of entities."""
    from spacy_crossner.measure.closeness import measure_closeness

    rows = [
        (
            one.lang,
            one.sentences,
            f"{one.found:.1%}",
            f"{one.found_back:.1%}",
            one.tokens,
            f"{one.agreement:.1%}",
            f"{one.silhouette:.3f}",
        )
        for one in measure_closeness(model, source, translations)
    ]
    header = ("lang", "sentences", "found", "found back", "tokens", "same label", "silhouette")
    msg.table(rows, header=header, divider=True, aligns=("l", *"rrrrrr"))


@command("report")
def report_cli(
    model: Annotated[str, typer.Argument(help="A pipeline folder, or an installed pipeline.")],
    tests: Annotated[
        list[Path],
        typer.Argument(help=".spacy files with gold entities, or folders with test-*.spacy."),
    ],
    output: Annotated[
        Path, typer.Option(help="Folder to write report.html and its pictures to.")
    ] = Path("report"),
    name: Annotated[
        str, typer.Option(help="What to call the pipeline beside other recipes.")
    ] = "this pipeline",
    metrics: Annotated[
        Optional[list[Path]],
        typer.Option(help="JSON that evaluate wrote, or a folder of it: recipes to compare with."),
    ] = None,
    log: Annotated[
        Optional[list[Path]],
        typer.Option(help="JSONL that training.logger.output_file names, or a folder with some."),
    ] = None,
    encoder: Annotated[
        Optional[str], typer.Option(help="The encoder before training: a folder or a hub name.")
    ] = None,
    source: Annotated[
        Optional[Path],
        typer.Option(help="Labelled source text, for the picture of token vectors only."),
    ] = None,
    translation: Annotated[
        Optional[Path], typer.Option(help="JSON report of the translation.")
    ] = None,
    selection: Annotated[
        Optional[Path], typer.Option(help="JSON report of the selection of target text.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Sentences to show of each language and kind of error.")
    ] = 8,
    gpu_id: Annotated[int, typer.Option(help="The GPU to use, -1 for the CPU.")] = -1,
) -> None:
    """Write one HTML file that shows how good a pipeline is, and PNG files of its pictures.

    What is not given is left out, and the page says so. In a project:

    crossner report training/crossner/calibrated corpus --name crossner --metrics metrics
    --log training --encoder encoder --source corpus/dev.spacy --translation
    metrics/translation.json --selection metrics/selection.json --output report
    """
    from spacy_crossner.measure.report import report

    page = report(
        Path(model) if Path(model).exists() else model,
        tests,
        output,
        name=name,
        metrics=metrics or [],
        logs=log or [],
        encoder=encoder,
        source=source,
        translation=translation,
        selection=selection,
        limit=limit,
        gpu_id=gpu_id,
    )
    msg.good(f"Wrote the report to {page}")


@command("speed")
def speed_cli(
    texts: Annotated[Path, typer.Argument(help="A .spacy file of labelled sentences.")],
    encoder: Annotated[Path, typer.Option(help="A Hugging Face folder.")] = Path("encoder"),
    what: Annotated[
        str,
        typer.Option(help="freezing, prediction, training, long-texts, peers, or several."),
    ] = "freezing,prediction,training,long-texts",
    runs: Annotated[int, typer.Option(min=1, help="Runs of each task.")] = 10,
    limit: Annotated[int, typer.Option(min=0, help="Sentences to read, 0 for all.")] = 0,
    peer_python: Annotated[
        str,
        typer.Option(
            help="An interpreter that has gliner and span_marker installed, to measure them too."
        ),
    ] = "",
    pipelines: Annotated[
        str,
        typer.Option(help="Folders of trained pipelines, by commas, to measure beside the peers."),
    ] = "",
) -> None:
    """Measure speed as ratios: what is compared runs in turn."""
    from spacy_crossner.measure.speed import measure
    from spacy_crossner.measure.timing import Job

    paths = tuple(Path(part) for part in pipelines.split(",") if part)
    job = Job(encoder, texts, runs, limit, peer_python, paths)
    rows = []
    for figure in measure(what.split(","), job):
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        rows.append((figure.what, f"{figure.value:.3f} {figure.unit}", ratio, figure.against))
        msg.text(" | ".join(rows[-1]))
    msg.table(rows, header=("what", "median", "times better", "than"), divider=True)


@command("benchmark")
def benchmark_cli(
    dataset: Annotated[str, typer.Argument(help="sample, uner or wikiann.")],
    output: Annotated[Path, typer.Option(help="Folder for corpora, runs and tables.")] = Path(
        "metrics/benchmark"
    ),
    recipes: Annotated[
        str, typer.Option(help="Names with commas; * stands for anything: 'crossner without *'.")
    ] = "baseline,baseline x2,concner,mclner,crossner",
    seeds: Annotated[str, typer.Option(help="Numbers with commas.")] = "0,1,2",
    source: Annotated[
        int, typer.Option(min=0, help="Number of labelled source sentences, 0 for all.")
    ] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of each training.")] = 400,
    encoder: Annotated[Path, typer.Option(help="A Hugging Face folder.")] = Path("encoder"),
    data: Annotated[
        Optional[Path],
        typer.Option(help="Folder of the original files; by default assets/optional."),
    ] = None,
    unlabelled: Annotated[
        int,
        typer.Option(
            min=1,
            help="Sentences of each target language without labels; sample has a fixed number.",
        ),
    ] = 1000,
    test_limit: Annotated[
        int, typer.Option(min=0, help="Sentences of dev and of each test file, 0 for all.")
    ] = 0,
    recipe_file: Annotated[
        Optional[Path],
        typer.Option(help="Where the recipes are defined; by default configs/recipes.yml."),
    ] = None,
    settings: Annotated[
        Optional[list[str]],
        typer.Option("--set", help="SECTION.KEY=VALUE for every config; can be repeated."),
    ] = None,
    against: Annotated[str, typer.Option(help="The recipe to compare with.")] = "baseline",
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Train nothing: only write the tables.")
    ] = False,
    gpu_id: Annotated[int, typer.Option(help="The GPU to use, -1 for the CPU.")] = -1,
) -> None:
    """Train recipes x seeds, test every language, and compare. Finished runs are kept."""
    from spacy_crossner.measure.benchmark import Setup, benchmark, write_tables
    from spacy_crossner.measure.datasets import get_dataset, prepare
    from spacy_crossner.measure.recipes import choose_recipes, parse_settings, read_recipes
    from spacy_crossner.start.recipes import find_recipe

    targets = get_dataset(dataset).targets
    setup = Setup(
        dataset=dataset,
        corpus=output / dataset / "corpus",
        output=output / dataset / str(source or "all"),
        encoder=encoder,
        source=source,
        steps=steps,
        test_limit=test_limit,
        settings=parse_settings(settings or []),
        gpu_id=gpu_id,
    )
    if not table_only:
        path = recipe_file or find_recipe("baseline").with_name("recipes.yml")
        chosen = choose_recipes(read_recipes(path), recipes.split(","), path)
        prepare(dataset, setup.corpus, data, unlabelled)
        benchmark(setup, chosen, [int(seed) for seed in seeds.split(",")])
    table = write_tables(setup.output, targets, against)
    typer.echo(table.read_text(encoding="utf8"))
    msg.good(f"Wrote {table} and {table.with_suffix('.json')}")


@command("lexicon")
def lexicon_cli(
    out: Annotated[
        str,
        typer.Argument(help="The .tsv file to write; {lang} in it stands for the target language."),
    ],
    source: Annotated[str, typer.Option("--from", help="Language of the words.")],
    targets: Annotated[
        str, typer.Option("--to", help="Language of the translations, or several: de,es.")
    ],
    freedict: Annotated[
        Optional[list[str]],
        typer.Option(
            help="auto for what is installed, a name such as eng-deu, or a path to its .index."
        ),
    ] = None,
    wiktionary: Annotated[
        Optional[list[Path]],
        typer.Option(help="A file with lines such as 'word {pos} (gloss) :: translations'."),
    ] = None,
    tsv: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="A table: word, perhaps part of speech, translation, perhaps weight. It counts "
            "most, Wiktionary second, FreeDict least."
        ),
    ] = None,
    views: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="What the command translate wrote: learn the words that it aligned. Counts less "
            "than any dictionary."
        ),
    ] = None,
    invert: Annotated[
        bool,
        typer.Option("--invert", help="Tables and Wiktionary files translate the other way."),
    ] = False,
    corpus: Annotated[
        Optional[Path],
        typer.Option(help=".spacy or text in the source language: print how much is covered."),
    ] = None,
    target_corpus: Annotated[
        Optional[Path],
        typer.Option(help=".spacy or text in the target language: prefer its common words."),
    ] = None,
    max_translations: Annotated[
        int, typer.Option(min=1, help="How many translations to keep of each word.")
    ] = 5,
) -> None:
    """Make the lexicon of a language pair from dictionaries, or from translations."""
    from spacy_crossner.translate.build import make_lexicon, measure_coverage, read_texts

    codes = [code for code in targets.split(",") if code]
    if len(codes) != 1 and "{lang}" not in out:
        raise CrossnerError(Errors.CN466.format(targets=targets))
    for target in codes:
        path = Path(out.replace("{lang}", target))
        lexicon = make_lexicon(
            path,
            source,
            target,
            tables=tsv or [],
            wiktionary=wiktionary or [],
            freedict=freedict or [],
            views=views or [],
            invert=invert,
            target_corpus=target_corpus,
            max_translations=max_translations,
        )
        msg.good(f"{path}: {len(lexicon)} words and phrases")
        if corpus is not None:
            coverage = measure_coverage(lexicon, read_texts(corpus, source))
            msg.info(f"{corpus}: {coverage.share:.1%} of {coverage.words} words are covered")
            common = ", ".join(word for word, _ in coverage.unknown.most_common(20))
            msg.text(f"The most common of the others: {common or 'none'}")


@command("codeswitch")
def codeswitch_cli(
    path: Annotated[Path, typer.Argument(help="A .spacy file, or a folder of them.")],
    out: Annotated[Path, typer.Argument(help="The .spacy file to write.")],
    lexicon: Annotated[
        list[str],
        typer.Option(
            help="LANGUAGE=FILE, a target language and its lexicon, or a folder of such as de.tsv; "
            "repeat."
        ),
    ],
    ratio: Annotated[
        float, typer.Option(help="Share of the words outside of entities to replace.")
    ] = 0.5,
    copies: Annotated[int, typer.Option(min=1, help="Copies of each sentence.")] = 1,
    mix: Annotated[
        str,
        typer.Option(
            help="single: copies in each language; sentence: a language drawn for each copy; "
            "token: one drawn for each phrase."
        ),
    ] = "sentence",
    seed: Annotated[int, typer.Option(help="Decides what is replaced.")] = 0,
    switch_entities: Annotated[
        bool,
        typer.Option("--switch-entities", help="Also replace names with one clear translation."),
    ] = False,
    unlabelled_views: Annotated[
        bool,
        typer.Option(
            "--unlabelled-views", help="The copies serve as contrast; their labels do not train."
        ),
    ] = False,
    views_only: Annotated[
        bool, typer.Option("--views-only", help="Leave the sources out of the output.")
    ] = False,
) -> None:
    """Write code-switched views: each source sentence is followed by its copies."""
    from spacy_crossner.translate.codeswitch import codeswitch, parse_lexicons

    report = codeswitch(
        path,
        out,
        parse_lexicons(lexicon),
        ratio=ratio,
        copies=copies,
        mix=mix,
        seed=seed,
        switch_entities=switch_entities,
        labelled=not unlabelled_views,
        views_only=views_only,
        progress=True,
    )
    langs = ", ".join(f"{lang} {count}" for lang, count in sorted(report.langs.items()))
    msg.good(f"{out}: {report.sentences} sentences, {report.views} code-switched views ({langs})")
    msg.info(
        f"Replaced {report.replaced / report.words:.1%} of {report.words} words outside of "
        f"entities; in {report.unchanged} copies there was nothing to replace, they were left out"
    )


@command("translate")
def translate_cli(
    path: Annotated[Path, typer.Argument(help="A .spacy file, or a folder of them.")],
    out: Annotated[Path, typer.Argument(help="The .spacy file to write.")],
    source: Annotated[str, typer.Option("--from", help="Language of the corpus.")],
    targets: Annotated[str, typer.Option("--to", help="Languages to translate into: es,de.")],
    engine: Annotated[
        str,
        typer.Option(
            help="memory, apertium, huggingface, lexicon, or auto for the first of them that can "
            "translate the pair of languages."
        ),
    ] = "auto",
    memory: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="A translation memory: .tsv or .jsonl with language codes as columns or keys; or "
            ".conllu or marked .txt files, or folders of them, one per language; repeat."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Folder or hub name of a translation model; {source} and {target} in it stand for "
            "the languages."
        ),
    ] = "",
    lexicon: Annotated[
        Optional[list[str]],
        typer.Option(
            help="LANGUAGE=FILE, a target language and its lexicon; repeat. It translates word by "
            "word, and helps to align words whatever the engine is."
        ),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(
            help="Folder or hub name of the encoder that aligns words. Without one, names and "
            "lexicons have to do."
        ),
    ] = "",
    eflomal: Annotated[
        bool,
        typer.Option(
            "--eflomal",
            help="Also align words with eflomal, if it is installed. It draws at random: another "
            "run may give another result.",
        ),
    ] = False,
    min_confidence: Annotated[
        float,
        typer.Option(
            help="Entities below it count as not placed. Doubt lowers a view's weight in any case."
        ),
    ] = 0.0,
    incomplete: Annotated[
        str,
        typer.Option(
            help="A translation in which an entity has no place: drop leaves it out; unlabelled "
            "keeps it as contrast for its sentence, and no labels train on it; keep writes it with "
            "the entities that it has, as if there were no others."
        ),
    ] = "drop",
    cache: Annotated[
        Optional[Path],
        typer.Option(help="File that keeps the translations; else it is beside the output."),
    ] = None,
    report: Annotated[
        Optional[Path], typer.Option(help="JSON file to write what became of each label to.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where a model runs: cpu, cuda:0.")] = "cpu",
    beams: Annotated[int, typer.Option(min=1, help="Width of a model's beam search.")] = 4,
    max_length: Annotated[
        int, typer.Option(min=8, help="Most pieces of a text for a model, and of its translation.")
    ] = 256,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Texts that a model translates at once.")
    ] = 16,
) -> None:
    """Write translated views with projected labels: each source sentence and its translations."""
    from spacy_crossner.translate.codeswitch import parse_lexicons
    from spacy_crossner.translate.engines import EngineSettings
    from spacy_crossner.translate.run import describe, translate

    result = translate(
        path,
        out,
        source=source,
        targets=[code.strip() for code in targets.split(",") if code.strip()],
        engine=engine,
        settings=EngineSettings(
            memory=tuple(memory or ()),
            model=model,
            lexicons=parse_lexicons(lexicon or ()),
            device=device,
            beams=beams,
            max_length=max_length,
            batch_size=batch_size,
        ),
        encoder=encoder,
        eflomal=eflomal,
        min_confidence=min_confidence,
        incomplete=incomplete,
        cache=cache,
        report_path=report,
        progress=True,
    )
    for target, one in result.items():
        msg.divider(f"{source} -> {target}: {one.engine}")
        rows = [
            (label, counts.entities, counts.projected, counts.repaired, counts.dropped)
            for label, counts in sorted(one.labels.items())
        ]
        header = ("label", "entities", "projected", "of them repaired", "dropped")
        msg.table(rows, header=header, divider=True, aligns=("l", *"rrrr"))
        for line in describe(one):
            msg.text(line)
    views = sum(one.views for one in result.values())
    msg.good(f"{out}: {views} translated views")


@command("annotate")
def annotate_cli(
    teacher: Annotated[str, typer.Argument(help="A pipeline folder, or an installed pipeline.")],
    path: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="A .txt file (a text a line), a .jsonl file (objects with a 'text'), a .spacy "
            "file, or a folder of them.",
        ),
    ],
    out: Annotated[Path, typer.Argument(help="The folder of .spacy files to write.")],
    more: Annotated[
        Optional[list[str]],
        typer.Option("--teacher", help="One more teacher; repeat. All of them are averaged."),
    ] = None,
    language: Annotated[str, typer.Option(help="Language code of plain texts.")] = "xx",
    confidence: Annotated[
        float,
        typer.Option(
            help="Least probability of an entity, or of a token outside, that is written as sure. "
            "The other tokens have no annotation."
        ),
    ] = 0.9,
    targets: Annotated[
        str,
        typer.Option(
            help="What students learn from: soft for the probabilities, hard for what is sure as "
            "if it were gold, or both."
        ),
    ] = "soft",
    scheme: Annotated[
        str,
        typer.Option(
            help="The student: bio for token_label_ner, relations for token_pair_ner, same for the "
            "teacher's kind."
        ),
    ] = "same",
    labels: Annotated[
        str,
        typer.Option(
            help="If teachers differ: same refuses, common takes the labels that all know, union "
            "those that any knows."
        ),
    ] = "same",
    passes: Annotated[
        int, typer.Option(min=1, help="Readings of each text; all but the first with dropout.")
    ] = 1,
    bias: Annotated[
        Optional[float],
        typer.Option(
            help="Taken off the teachers' log odds of no entity, for in other languages they miss "
            "more. If not set, what calibration chose."
        ),
    ] = None,
    sharpen: Annotated[
        float,
        typer.Option(
            help="Power that soft targets are raised to: above 1, students learn to be surer than "
            "their teachers."
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Decides what dropout drops.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts to read at a time.")] = 64,
    n_process: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    shard_size: Annotated[int, typer.Option(min=1, help="Texts per file.")] = 2000,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Replace an annotation that was begun with other settings."),
    ] = False,
    gpu_id: Annotated[int, typer.Option(help="The GPU to use, -1 for the CPU.")] = -1,
) -> None:
    """Let a teacher label plain text, for students to learn from. Goes on where it was stopped."""
    from spacy_crossner.distil.annotate import annotate
    from spacy_crossner.distil.report import list_tallies

    manifest, survey = annotate(
        [teacher, *(more or [])],
        path,
        out,
        lang=language,
        confidence=confidence,
        targets=targets,
        scheme=scheme,
        labels=labels,
        passes=passes,
        bias=bias,
        sharpen=sharpen,
        seed=seed,
        batch_size=batch_size,
        n_process=n_process,
        shard_size=shard_size,
        restart=restart,
        gpu_id=gpu_id,
    )
    for message, count in survey.problems.items():
        msg.warn(f"{count} lines were skipped: {message}")
    if survey.empty:
        msg.warn(f"{survey.empty} docs without tokens were skipped")
    header, rows = list_tallies(manifest)
    msg.table(rows, header=header, divider=True, aligns=("l", *"r" * (len(header) - 1)))
    docs = sum(tally.docs for tally in manifest.sum_up().values())
    msg.good(f"{out}: {docs} texts in {len(manifest.shards)} files")


@command("select")
def select_cli(
    path: Annotated[Path, typer.Argument(metavar="IN", help="What the command annotate wrote.")],
    out: Annotated[Path, typer.Argument(help="The .spacy file or folder of files to write.")],
    min_certainty: Annotated[
        float,
        typer.Option(help="Least certainty of a text: the F1 that the teacher expects of itself."),
    ] = 0.0,
    min_agreement: Annotated[
        float, typer.Option(help="Least agreement of the teachers, or passes, on a text.")
    ] = 0.0,
    per_language: Annotated[
        int, typer.Option(min=0, help="Most texts of each language; 0 keeps all.")
    ] = 0,
    balance: Annotated[
        bool,
        typer.Option(
            "--balance", help="Of too many texts, prefer those with labels that are rare."
        ),
    ] = False,
    source: Annotated[
        Optional[Path], typer.Option(help="Labelled source text to compare the labels with.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which texts are chosen.")] = 0,
    output: Annotated[
        Optional[Path], typer.Option(help="JSON file to write the counts to.")
    ] = None,
) -> None:
    """Choose annotated texts: the sure ones, balanced over languages and labels."""
    from spacy_crossner.distil.select import list_kept, select, to_json
    from spacy_crossner.measure.evaluate import write_scores

    report = select(
        path,
        out,
        min_certainty=min_certainty,
        min_agreement=min_agreement,
        per_language=per_language,
        balance=balance,
        source=source,
        seed=seed,
    )
    header, rows = list_kept(report)
    msg.table(rows, header=header, divider=True, aligns=("l", *"r" * (len(header) - 1)))
    for lang, row in report.items():
        if row.drifts:
            msg.warn(
                f"{lang} drifts: {row.drift:.0%} of its entities would need another label to be "
                f"spread as in the source, and it has {row.rate:.1f} times as many per token"
            )
    if output is not None:
        write_scores(to_json(report), output)
        msg.good(f"Wrote the counts to {output}")
    msg.good(f"{out}: {sum(row.kept for row in report.values())} texts")


@command("package")
def package_cli(
    pipeline: Annotated[Path, typer.Argument(help="A trained pipeline.")],
    output: Annotated[Path, typer.Argument(help="Folder to write the wheels to.")],
    languages: Annotated[str, typer.Option(help="Languages of the wheels: de,es,zh.")],
    texts: Annotated[
        Optional[list[Path]],
        typer.Option(
            help=".spacy files, or folders of them, with texts in these languages; repeat. The "
            "vocabulary is trimmed by them."
        ),
    ] = None,
    name: Annotated[
        str, typer.Option(help="What follows the language in a wheel's name.")
    ] = "crossner_trf",
    version: Annotated[str, typer.Option(help="Version of the wheels.")] = __version__,
    scores: Annotated[
        Optional[Path], typer.Option(help="What the command evaluate wrote, for the meta.json.")
    ] = None,
    sources: Annotated[
        Optional[Path],
        typer.Option(help="JSON list of the data's name, url and license, for the meta.json."),
    ] = None,
    license_name: Annotated[
        str,
        typer.Option("--license", help="Licence of the wheels; by default those of the sources."),
    ] = "",
    trim: Annotated[
        bool, typer.Option("--trim/--no-trim", help="Cut the vocabulary to the languages.")
    ] = True,
) -> None:
    """Write wheels: one pipeline for all languages (xx_NAME), and one for each (de_NAME)."""
    from spacy_crossner.ship.package import package

    wheels = package(
        pipeline,
        output,
        [code for code in languages.split(",") if code],
        texts or [],
        name=name,
        version=version,
        scores=scores,
        sources=sources,
        license_name=license_name,
        trim=trim,
    )
    for path, _, trimmed in wheels:
        size = f"{path.stat().st_size / 1e6:.0f} MB"
        pieces = "" if trimmed is None else f", {trimmed.after} of {trimmed.before} word pieces"
        msg.good(f"{path}: {size}{pieces}")


@command("verify")
def verify_cli(
    wheels: Annotated[
        list[Path],
        typer.Argument(help="Wheels; or a folder, for those that package wrote there last."),
    ],
    against: Annotated[Path, typer.Option(help="The pipeline that they were made from.")],
    texts: Annotated[
        Optional[list[Path]],
        typer.Option(help=".spacy files, or folders of them, with texts to try; repeat."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Texts of each language to try, 0 for all.")
    ] = 0,
    install: Annotated[
        Optional[list[str]],
        typer.Option(
            help="Install this (spacy-crossner, a wheel or a folder of it) and all requirements "
            "into an empty environment, instead of lending it the packages of this one; repeat."
        ),
    ] = None,
    output: Annotated[
        Optional[Path], typer.Option(help="JSON file to write what was found to.")
    ] = None,
) -> None:
    """Load each wheel in a clean environment without a network, and compare what it finds."""
    from spacy_crossner.ship.verify import find_wheels, verify, write_verified

    results = verify(find_wheels(wheels), against, texts or [], limit=limit, install=install or [])
    for wheel, count, entities, seconds in results:
        msg.good(
            f"{wheel.name}: {entities} entities in {count} texts, all as before; "
            f"loaded in {seconds:.1f} s"
        )
    if output is not None:
        write_verified(results, output)
        msg.good(f"Wrote what was found to {output}")


@command("reference")
def reference_cli(
    output: Annotated[Optional[Path], typer.Option(help="Markdown file to write it to.")] = None,
) -> None:
    """Print the reference: every setting, command, function and message."""
    from spacy_crossner.files import write_file
    from spacy_crossner.reference import write_reference

    text = write_reference()
    if output is None:
        typer.echo(text)
    else:
        write_file(output, text)
        msg.good(f"Wrote the reference to {output}")

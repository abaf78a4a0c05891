"""Measurements that run from a checkout: `python -m benchmarks COMMAND`."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.cli.app import command, split_list
from spacy_crossner.cli.options import ADDRESS, GPU_ID, GPUS, MODEL, ON, THREADS, WORKERS
from spacy_crossner.tables import render_rows

DATASET = typer.Argument(
    help="Data set: sample, uner, wikiann, or supervised-LANG for labels in pt, hr, sv or zh."
)
DATA = typer.Option(help="Folder of the original files; by default that of the project's assets.")
ENCODER = typer.Option(help="Hugging Face folder of the encoder.")
UNLABELLED = typer.Option(
    min=1, help="Unlabelled sentences per target language; fixed for the data set sample."
)

app = typer.Typer(
    name="benchmarks",
    help="Measure F1, speed, alignment and robustness from a checkout.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@command("prepare", to=app)
def prepare_cli(
    dataset: Annotated[str, DATASET],
    output: Annotated[Path, typer.Argument(help="Folder to write .spacy files to.")],
    data: Annotated[Optional[Path], DATA] = None,
    unlabelled: Annotated[int, UNLABELLED] = 1000,
) -> None:
    """Convert a data set to .spacy files: source text, views, target text and tests."""
    from benchmarks.datasets import prepare

    prepare(dataset, output, data, unlabelled)
    msg.good(f"Wrote the data set {dataset} to {output}")


@command("rules", to=app)
def rules_cli(
    output: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("metrics/rules"),
    languages: Annotated[str, typer.Option(help="Languages of the sample.")] = "de,es",
    seeds: Annotated[str, typer.Option(help="Comma-separated seeds.")] = "0,1,2",
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")] = 100,
    encoder: Annotated[Path, ENCODER] = Path("encoder"),
) -> None:
    """Distil a list of names: recall of the list and of its student on the sample's tests."""
    from benchmarks.rules import compare_with_rules

    for seed in map(int, split_list(seeds)):
        found = compare_with_rules(output, encoder, split_list(languages), seed, steps)
        msg.good(
            f"Seed {seed}: " + ", ".join(f"{name} {value:.1f}" for name, value in found.items())
        )


@command("labels", to=app)
def labels_cli(
    pipeline: Annotated[Path, typer.Argument(help="Trained pipeline with a token_label_ner.")],
    corpus: Annotated[Path, typer.Argument(help="Data set written by `prepare`.")],
    pool: Annotated[
        list[str], typer.Option(help="LANGUAGE=FILE of labelled sentences to choose from; repeat.")
    ],
    output: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("metrics/labels"),
    counts: Annotated[
        str, typer.Option(help="Comma-separated numbers of sentences per language.")
    ] = "25,50,100,250",
    ways: Annotated[str, typer.Option(help="Comma-separated: ask, random, alone.")] = (
        "ask,random,alone"
    ),
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    limit: Annotated[
        int, typer.Option(min=1, help="Sentences of each pool to choose from.")
    ] = 1000,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")] = 150,
    encoder: Annotated[Path, ENCODER] = Path("encoder"),
) -> None:
    """Measure what labelled target sentences add: chosen by `ask` or at random."""
    from benchmarks.labels import Setup, compare_labels
    from spacy_crossner.start.init import parse_files

    pools = parse_files(pool)
    setup = Setup(pipeline, corpus, pools, encoder, output, limit, steps)
    found = compare_labels(setup, list(map(int, split_list(counts))), split_list(ways), seed)
    rows = [[name, *map("{:.1f}".format, scores.values())] for name, scores in found.items()]
    typer.echo(render_rows(["sentences", *pools, "mean"], rows))


@command("benchmark", to=app)
def benchmark_cli(
    dataset: Annotated[str, DATASET],
    output: Annotated[Path, typer.Option(help="Folder for corpora, runs and tables.")] = Path(
        "metrics/benchmark"
    ),
    recipes: Annotated[
        str, typer.Option(help="Comma-separated recipes; * matches anything: 'crossner without *'.")
    ] = "baseline,baseline x2,concner,mclner,crossner",
    seeds: Annotated[str, typer.Option(help="Comma-separated seeds.")] = "0,1,2",
    source: Annotated[
        int, typer.Option(min=0, help="Labelled source sentences to train on, 0 for all.")
    ] = 0,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of each training.")] = 400,
    encoder: Annotated[Path, ENCODER] = Path("encoder"),
    data: Annotated[Optional[Path], DATA] = None,
    unlabelled: Annotated[int, UNLABELLED] = 1000,
    test_limit: Annotated[
        int,
        typer.Option(
            min=0, help="Sentences to use of the dev file and of each test file, 0 for all."
        ),
    ] = 0,
    recipe_file: Annotated[
        Optional[Path],
        typer.Option(help="Recipe file; by default configs/recipes.yml."),
    ] = None,
    settings: Annotated[
        Optional[list[str]],
        typer.Option("--set", help="Override SECTION.KEY=VALUE in every config; repeat."),
    ] = None,
    against: Annotated[
        str,
        typer.Option(help="Recipe to compare the others with; by default the first of --recipes."),
    ] = "",
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Only write the tables, without training.")
    ] = False,
    gpu_id: Annotated[int, GPU_ID] = -1,
    on: Annotated[str, ON] = "local",
    workers: Annotated[int, WORKERS] = 1,
    threads: Annotated[int, THREADS] = 1,
    address: Annotated[str, ADDRESS] = "",
    gpus_per_worker: Annotated[float, GPUS] = 0.0,
) -> None:
    """Train each recipe with each seed, and compare F1 per language. Finished runs are kept."""
    from benchmarks.benchmark import Setup, benchmark, write_tables
    from benchmarks.datasets import get_dataset, prepare
    from spacy_crossner.scale.execution import Execution
    from spacy_crossner.training.recipes import (
        FILE,
        choose_recipes,
        find_folder,
        parse_settings,
        read_recipes,
    )

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
    path = recipe_file or find_folder() / FILE
    chosen = choose_recipes(read_recipes(path), split_list(recipes), path)
    if not table_only:
        prepare(dataset, setup.corpus, data, unlabelled)
        execution = Execution(on, workers, threads, address, gpus_per_worker)
        benchmark(setup, chosen, [int(seed) for seed in split_list(seeds)], execution)
    table = write_tables(setup.output, targets, against or chosen[0].name)
    typer.echo(table.read_text(encoding="utf8"))
    msg.good(f"Wrote {table} and {table.with_suffix('.json')}")


@command("speed", to=app)
def speed_cli(
    texts: Annotated[Path, typer.Argument(help=".spacy file with labelled sentences.")],
    encoder: Annotated[Path, ENCODER] = Path("encoder"),
    what: Annotated[
        str,
        typer.Option(
            help="Comma-separated tasks: freezing, prediction, training, long-texts, peers."
        ),
    ] = "freezing,prediction,training,long-texts",
    runs: Annotated[int, typer.Option(min=1, help="Runs per task.")] = 10,
    limit: Annotated[int, typer.Option(min=0, help="Sentences to read, 0 for all.")] = 0,
    peer_python: Annotated[
        str,
        typer.Option(
            help="Python interpreter with gliner and span_marker, to measure them as well."
        ),
    ] = "",
    pipelines: Annotated[
        str,
        typer.Option(help="Comma-separated pipeline folders to measure along with the peers."),
    ] = "",
) -> None:
    """Measure speed as ratios of tasks that run alternately."""
    from benchmarks.speed import measure
    from benchmarks.timing import Job

    paths = tuple(map(Path, split_list(pipelines)))
    job = Job(encoder, texts, runs, limit, peer_python, paths)
    rows = []
    for figure in measure(split_list(what), job):
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        rows.append((figure.what, f"{figure.value:.3f} {figure.unit}", ratio, figure.against))
        msg.text(" | ".join(rows[-1]))
    typer.echo(render_rows(("task", "median", "ratio", "compared with"), rows))


@command("names", to=app)
def names_cli(
    model: Annotated[str, MODEL],
    corpus: Annotated[
        Optional[list[Path]],
        typer.Argument(help=".spacy files with labelled text; by default benchmarks/names.txt."),
    ] = None,
    odds: Annotated[
        str, typer.Option(help="Comma-separated values of touching_odds.")
    ] = "1,0.3,0.1,0.03",
) -> None:
    """Count split multi-word names for each decoding, with the same weights."""
    from spacy.vocab import Vocab

    from benchmarks.names import measure_names, read_names
    from spacy_crossner.data.shards import read_docs

    vocab = Vocab()
    docs = [doc for path in corpus or () for doc in read_docs(path, vocab)] or read_names()
    rows = [
        (name, c.names, c.found, c.whole, f"{c.cut:.1%}", f"{100 * c.f_score:.2f}")
        for name, c in measure_names(model, docs, [float(part) for part in odds.split(",")]).items()
    ]
    header = ("decoding", "names", "found", "whole", "cut", "F1")
    typer.echo(render_rows(header, rows))


@command("closeness", to=app)
def closeness_cli(
    model: Annotated[str, MODEL],
    source: Annotated[Path, typer.Argument(help=".spacy file with labelled sentences.")],
    translations: Annotated[
        list[Path],
        typer.Argument(help=".spacy files with labelled translations of the same sentences."),
    ],
) -> None:
    """Measure cross-lingual alignment: retrieval accuracy of sentences and of entity tokens."""
    from benchmarks.closeness import measure_closeness

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
    typer.echo(render_rows(header, rows))


@command("gradients", to=app)
def gradients_cli(
    config: Annotated[
        Path, typer.Argument(help="Config of a training with contrasts: config.cfg of a stage.")
    ],
    at: Annotated[str, typer.Option(help="Comma-separated numbers of steps.")] = "50,200,400",
    batches: Annotated[int, typer.Option(min=1, help="Batches to look at each time.")] = 8,
) -> None:
    """Compare the gradients of contrasts with those of the labels, per layer of the encoder."""
    from benchmarks.gradients import measure_cosines

    rows = [
        (one.step, one.contrast, one.layer, f"{one.cosine:+.3f}", f"{one.ratio:.3f}")
        for one in measure_cosines(config, list(map(int, split_list(at))), batches)
    ]
    typer.echo(render_rows(("step", "contrast", "layer", "cosine", "ratio"), rows))


@command("scale", to=app)
def scale_cli(
    what: Annotated[
        str, typer.Option(help="Comma-separated tasks: bytes, memory, overhead, driver.")
    ] = "bytes,memory,overhead,driver",
    pipeline: Annotated[
        Optional[Path],
        typer.Option(help="Pipeline for bytes and overhead; by default one with entity rules."),
    ] = None,
    counts: Annotated[
        str, typer.Option(help="Comma-separated numbers of texts for memory.")
    ] = "10000,1000000",
    places: Annotated[
        str, typer.Option(help="Comma-separated places and numbers of workers for memory.")
    ] = "local 1,local 2,ray 2",
    texts: Annotated[int, typer.Option(help="Number of texts for bytes and overhead.")] = 100_000,
    kills: Annotated[
        int, typer.Option(help="Runs in which a worker is killed, for each of --kill-on.")
    ] = 10,
    kill_on: Annotated[
        str, typer.Option(help="Comma-separated places where workers are killed.")
    ] = "local,ray",
    runs: Annotated[int, typer.Option(help="Runs per speed comparison.")] = 5,
    rate: Annotated[
        float, typer.Option(help="Texts per second of a simulated worker, for driver.")
    ] = 100.0,
) -> None:
    """Measure `apply`: identical output after killed workers, memory, overhead and driver cost."""
    from benchmarks import scale

    chosen = what.split(",")
    with TemporaryDirectory() as name:
        folder = Path(name)
        pipeline = pipeline or scale.write_pipeline(folder / "pipeline")
        path = scale.write_texts(folder / "texts.jsonl", texts)
        measured = {
            "bytes": (
                ("run", "seconds", "killed", "same bytes"),
                lambda: scale.compare_bytes(pipeline, path, folder, kills, kill_on.split(",")),
            ),
            "memory": (
                (
                    *("where", "texts", "in the output", "ids once", "seconds"),
                    *("driver MiB", "worker MiB"),
                ),
                lambda: scale.measure_memory(
                    pipeline, [int(n) for n in counts.split(",")], places.split(","), folder
                ),
            ),
            "overhead": (
                ("what", "ratio of speed"),
                lambda: scale.measure_overhead(pipeline, path, folder, runs),
            ),
            "driver": (
                ("where", "CPU ms per shard", "ms per shard", "workers fed"),
                lambda: scale.measure_saturation(200, rate, folder),
            ),
        }
        for title, (header, measure) in measured.items():
            if title in chosen:
                msg.divider(title)
                rows = []
                for row in measure():
                    cells = (f"{cell:.3g}" if isinstance(cell, float) else cell for cell in row)
                    rows.append(tuple(map(str, cells)))
                    print(*rows[-1], sep=" | ", flush=True)
                typer.echo(render_rows(header, rows))


@command("faults", to=app)
def faults_cli(
    pipeline: Annotated[Path, typer.Argument(help="Folder of a pipeline.")],
    texts: Annotated[int, typer.Option(min=0, help="Number of hostile texts.")] = 10_000,
    files: Annotated[int, typer.Option(min=0, help="Number of damaged files.")] = 1000,
    malformed: Annotated[int, typer.Option(min=0, help="Number of malformed files.")] = 700,
    kills: Annotated[
        int, typer.Option(min=0, help="Number of killed commands, which take turns.")
    ] = 100,
    places: Annotated[
        bool, typer.Option(help="Full disk, folder without permission, two commands at once.")
    ] = True,
    calls: Annotated[int, typer.Option(min=0, help="Calls on words never seen before.")] = 5000,
    commands: Annotated[
        str, typer.Option(help="Commands to kill and run, with commas; empty for all.")
    ] = "",
    encoder: Annotated[
        Optional[Path], typer.Option(help="A Hugging Face folder, for the command encoder.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of all choices.")] = 0,
) -> None:
    """Inject faults: hostile texts, damaged and malformed files, killed commands, full disks."""
    from benchmarks.faults.commands import prepare_steps
    from benchmarks.faults.files import convert_malformed, damage_data, damage_pipeline
    from benchmarks.faults.kills import kill_commands
    from benchmarks.faults.memory import compare_growth
    from benchmarks.faults.places import fill_disk, lock_folders, run_twice
    from benchmarks.faults.texts import check_texts, make_texts
    from spacy_crossner.pipeline.load import load_pipeline

    rows: list[tuple[str, str, float]] = []

    def add(title: str, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            print(title, name, value, sep=" | ", flush=True)
            rows.append((title, name, value))

    if texts:
        add("hostile texts", check_texts(load_pipeline(pipeline), make_texts(texts, seed)))
    if files:
        add("damaged pipeline", damage_pipeline(pipeline, files - files // 2, seed))
        for name, found in damage_data(files // 2, seed).items():
            add(f"damaged {name}", found)
    if malformed:
        add("malformed files", convert_malformed(malformed, seed))
    if calls:
        add(f"{calls} calls", compare_growth(pipeline, calls))
    if kills or places:
        with TemporaryDirectory() as scratch:
            folder = Path(scratch)
            steps = prepare_steps(pipeline, folder, split_list(commands), encoder)
            if places:
                add("full disk", fill_disk(steps, folder))
                add("no permission", lock_folders(steps, folder))
                add("two at once", run_twice(steps, folder))
            if kills:
                add("killed commands", kill_commands(steps, kills, folder, seed))
    typer.echo(render_rows(("fault", "outcome", "number"), rows))


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")

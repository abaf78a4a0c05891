"""Commands that annotate target text with a teacher and select the useful part."""

from pathlib import Path
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.cli.app import command, refuse, split_list
from spacy_crossner.cli.options import (
    ADDRESS,
    GPU_ID,
    GPUS,
    ON,
    OWN_THREADS,
    WORKERS,
    make_execution,
)
from spacy_crossner.errors import Errors


@command("annotate", "Distillation")
def annotate_cli(
    teacher: Annotated[
        str,
        typer.Argument(
            help="A pipeline folder or an installed pipeline: one of this package, or any that "
            "sets doc.ents or doc.spans."
        ),
    ],
    path: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="A .txt file (one text per line), a .jsonl file (objects with a 'text'), a .spacy "
            "file, or a folder of them.",
        ),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="The folder of .spacy files to write.")
    ],
    more: Annotated[
        Optional[list[str]],
        typer.Option(
            "--teacher", help="Another teacher; repeat. Their probabilities are averaged."
        ),
    ] = None,
    weight: Annotated[
        Optional[list[float]],
        typer.Option(
            "--teacher-weight",
            help="Weight of a teacher in the average; repeat in the order of the teachers.",
        ),
    ] = None,
    lang: Annotated[str, typer.Option(help="Language code of plain texts.")] = "xx",
    labels_from: Annotated[
        str,
        typer.Option(help="Where other pipelines store their entities: ents or spans:KEY."),
    ] = "ents",
    label_map: Annotated[
        str, typer.Option(help="Rename labels of other pipelines: person=PER,city=LOC.")
    ] = "",
    student_labels: Annotated[
        str,
        typer.Option(
            help="Labels of the student, if they differ from the teachers': PER,LOC,ORG. Tokens "
            "that could have a label unknown to all teachers are masked."
        ),
    ] = "",
    default_score: Annotated[
        float,
        typer.Option(help="Score of entities of other pipelines that don't have scores."),
    ] = 0.95,
    outside: Annotated[
        float,
        typer.Option(
            help="Fraction of the tokens outside entities that count as O for other pipelines; the "
            "rest is masked. Lower it for a teacher with low recall, such as a list of names."
        ),
    ] = 1.0,
    confidence: Annotated[
        float,
        typer.Option(
            help="Minimum probability of an entity or O to be annotated. Other tokens are masked."
        ),
    ] = 0.9,
    targets: Annotated[
        str,
        typer.Option(
            help="Training targets of students: soft for probabilities, hard for confident labels "
            "as gold, or both."
        ),
    ] = "soft",
    scheme: Annotated[
        str,
        typer.Option(
            help="Head of the student: bio for token_label_ner, relations for token_pair_ner, same "
            "for the teacher's."
        ),
    ] = "same",
    labels: Annotated[
        str,
        typer.Option(
            help="Labels of several teachers: same requires equal labels, common keeps the labels "
            "that all of them have, union keeps all labels."
        ),
    ] = "same",
    passes: Annotated[
        int, typer.Option(min=1, help="Forward passes per text; all but the first use dropout.")
    ] = 1,
    bias: Annotated[
        Optional[float],
        typer.Option(
            help="Subtracted from the teachers' log-odds of O, because they miss more entities in "
            "other languages. By default, the bias from their calibration."
        ),
    ] = None,
    sharpen: Annotated[
        float,
        typer.Option(
            help="Exponent of soft targets: above 1, students become more confident than their "
            "teachers."
        ),
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of dropout.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts per batch.")] = 64,
    n_process: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    shard_size: Annotated[int, typer.Option(min=1, help="Texts per file.")] = 2000,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Replace an annotation with other settings."),
    ] = False,
    allow_empty: Annotated[
        bool,
        typer.Option(
            "--allow-empty",
            help="Keep an annotation without entities instead of raising an error.",
        ),
    ] = False,
    gpu_id: Annotated[int, GPU_ID] = -1,
    on: Annotated[str, ON] = "local",
    workers: Annotated[int, WORKERS] = 1,
    threads: Annotated[Optional[int], OWN_THREADS] = None,
    address: Annotated[str, ADDRESS] = "",
    gpus_per_worker: Annotated[float, GPUS] = 0.0,
) -> None:
    """Annotate text with a teacher to train students on. An interrupted run continues."""
    from spacy_crossner.data.convert import parse_label_map
    from spacy_crossner.distil.annotate import annotate
    from spacy_crossner.scale.execution import make_run

    annotation = annotate(
        [teacher, *(more or [])],
        path,
        out,
        lang=lang,
        labels_from=labels_from,
        label_map=parse_label_map(label_map),
        default_score=default_score,
        outside=outside,
        weights=weight or (),
        student_labels=split_list(student_labels),
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
        allow_empty=allow_empty,
        gpu_id=0 if gpus_per_worker else gpu_id,
        run=make_run(make_execution(on, workers, threads, address, gpus_per_worker)),
    )
    for message, count in annotation.survey.problems.items():
        msg.warn(f"{count} lines were skipped: {message}")
    if annotation.survey.empty:
        msg.warn(f"{annotation.survey.empty} docs without tokens were skipped")
    print(annotation)
    for line in annotation.warnings:
        msg.warn(line)
    tallies = annotation.manifest.sum_up().values()
    shards = len(annotation.manifest.shards)
    msg.good(f"{out}: {sum(tally.docs for tally in tallies)} texts in {shards} files")


@command("select", "Distillation")
def select_cli(
    path: Annotated[Path, typer.Argument(metavar="INPUT", help="Output of `annotate`.")],
    out: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="The .spacy file or folder of files to write.")
    ],
    min_certainty: Annotated[
        float,
        typer.Option(help="Minimum certainty of a text: the teacher's expected F1."),
    ] = 0.0,
    min_agreement: Annotated[
        float, typer.Option(help="Minimum agreement of the teachers, or passes, on a text.")
    ] = 0.0,
    share: Annotated[
        float,
        typer.Option(
            help="Share of each language's texts with each label, and of those without any, that "
            "is kept: the most certain."
        ),
    ] = 1.0,
    per_language: Annotated[
        int, typer.Option(min=0, help="Maximum number of texts per language, 0 for all.")
    ] = 0,
    balance: Annotated[
        bool,
        typer.Option("--balance", help="With --per-language, prefer texts with rare labels."),
    ] = False,
    source: Annotated[
        Optional[Path], typer.Option(help="Labelled source text to compare label frequencies with.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the selection.")] = 0,
    ask: Annotated[
        int,
        typer.Option(
            min=0,
            help="Active learning: choose this many uncertain and diverse texts, and write them "
            "with predictions for an annotation tool.",
        ),
    ] = 0,
    format: Annotated[
        str,
        typer.Option(help="With --ask: format of the output; see `convert`."),
    ] = "",
    exclude: Annotated[
        Optional[list[Path]],
        typer.Option(help="With --ask: file of texts that are already labelled; repeat."),
    ] = None,
    report: Annotated[
        Optional[Path], typer.Option(help="JSON file to write the counts to.")
    ] = None,
) -> None:
    """Select annotated texts for training or, with --ask, texts to label next."""
    if ask:
        from spacy_crossner.distil.ask import ask as choose

        others = {
            "--balance": balance,
            "--per-language": per_language,
            "--min-certainty": min_certainty,
            "--min-agreement": min_agreement,
            "--share": share if share != 1.0 else None,
            "--source": source,
            "--seed": seed,
            "--report": report,
        }
        refuse(Errors.CN541, others)
        asked = choose(path, out, ask, format=format, exclude=exclude or ())
        print(asked)
        msg.good(f"{out}: {sum(asked.texts.values())} texts to label")
        return
    refuse(Errors.CN542, {"--format": format, "--exclude": exclude})
    from spacy_crossner.data.shards import find_files
    from spacy_crossner.distil.select import list_kept, select, to_json
    from spacy_crossner.files import refuse_input, write_json
    from spacy_crossner.tables import render_rows

    if report is not None:
        refuse_input(report, [path, *find_files(path), out])
    kept = select(
        path,
        out,
        min_certainty=min_certainty,
        min_agreement=min_agreement,
        share=share,
        per_language=per_language,
        balance=balance,
        source=source,
        seed=seed,
    )
    typer.echo(render_rows(*list_kept(kept)))
    for lang, row in kept.items():
        if row.drifts:
            msg.warn(
                f"Label shift in {lang}: {row.drift:.0%} of its entities would need another label "
                f"to match the source, and it has {row.rate:.1f} times as many per token"
            )
    if report is not None:
        write_json(report, to_json(kept))
        msg.good(f"Wrote the counts to {report}")
    msg.good(f"{out}: {sum(row.kept for row in kept.values())} texts")

"""Views: lexicons, code-switched copies and translations of labelled sentences."""

from pathlib import Path
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.cli.app import command, split_list
from spacy_crossner.cli.options import ADDRESS, GPUS, ON, THREADS, WORKERS
from spacy_crossner.errors import CrossnerError, Errors


@command("lexicon", "Views")
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
    from spacy_crossner.lexicon.build import make_lexicon, measure_coverage, read_texts

    codes = split_list(targets)
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


@command("codeswitch", "Views")
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
    from spacy_crossner.lexicon.codeswitch import codeswitch, parse_lexicons

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


@command("translate", "Views")
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
    on: Annotated[str, ON] = "local",
    workers: Annotated[int, WORKERS] = 1,
    threads: Annotated[int, THREADS] = 1,
    address: Annotated[str, ADDRESS] = "",
    gpus_per_worker: Annotated[float, GPUS] = 0.0,
) -> None:
    """Write translated views with projected labels: each source sentence and its translations."""
    from spacy_crossner.lexicon.codeswitch import parse_lexicons
    from spacy_crossner.scale.execution import Execution, make_run
    from spacy_crossner.translate.engines import EngineSettings
    from spacy_crossner.translate.run import describe, translate

    result = translate(
        path,
        out,
        source=source,
        targets=split_list(targets),
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
        min_confidence=min_confidence,
        incomplete=incomplete,
        cache=cache,
        report_path=report,
        progress=True,
        run=make_run(Execution(on, workers, threads, address, gpus_per_worker)),
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

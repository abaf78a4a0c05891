"""Commands that create lexicons, code-switched copies and translations."""

from pathlib import Path
from typing import Annotated, Optional

import typer
from wasabi import msg

from spacy_crossner.cli.app import command, split_list
from spacy_crossner.cli.options import ADDRESS, GPUS, ON, OWN_THREADS, WORKERS, make_execution
from spacy_crossner.errors import CrossnerError, Errors


@command("lexicon", "Views")
def lexicon_cli(
    out: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT",
            help="The .tsv file to write; {lang} is replaced by the target language.",
        ),
    ],
    source: Annotated[str, typer.Option("--from", help="Language of the words.")],
    targets: Annotated[
        str, typer.Option("--to", help="Language of the translations, or several: de,es.")
    ],
    freedict: Annotated[
        Optional[list[str]],
        typer.Option(
            help="FreeDict dictionary: auto for the installed ones, a name such as eng-deu, or the "
            "path of an .index; repeat."
        ),
    ] = None,
    wiktionary: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="Wiktionary file with lines 'word {pos} (gloss) :: translations'; repeat."
        ),
    ] = None,
    tsv: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="Table of word, optional part of speech, translation, optional weight; repeat. "
            "Tables take precedence over Wiktionary, and Wiktionary over FreeDict."
        ),
    ] = None,
    views: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="Output of `translate`, to learn translations from its word alignments; repeat. "
            "Dictionaries take precedence."
        ),
    ] = None,
    invert: Annotated[
        bool,
        typer.Option("--invert", help="Swap the languages of tables and Wiktionary files."),
    ] = False,
    corpus: Annotated[
        Optional[Path],
        typer.Option(help=".spacy or text file in the source language, to print its coverage."),
    ] = None,
    target_corpus: Annotated[
        Optional[Path],
        typer.Option(help=".spacy or text file in the target language, to prefer frequent words."),
    ] = None,
    max_translations: Annotated[
        int, typer.Option(min=1, help="Maximum number of translations per word.")
    ] = 5,
) -> None:
    """Create a lexicon of a language pair from dictionaries or translations."""
    from spacy_crossner.lexicon.build import make_lexicon, measure_coverage, read_texts

    codes = split_list(targets)
    if len(codes) != 1 and "{lang}" not in out:
        raise CrossnerError(Errors.CN466.format(targets=targets))
    if source in codes:
        raise CrossnerError(Errors.CN402.format(lang=source))
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
            msg.text(f"The most frequent other words: {common or 'none'}")


@command("codeswitch", "Views")
def codeswitch_cli(
    path: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A .spacy file, or a folder of them.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The .spacy file to write.")],
    lexicon: Annotated[
        list[str],
        typer.Option(
            help="LANGUAGE=FILE for a target language and its lexicon, or a folder of lexicons "
            "such as de.tsv; repeat."
        ),
    ],
    ratio: Annotated[
        float, typer.Option(help="Fraction of the words outside entities to replace.")
    ] = 0.5,
    copies: Annotated[int, typer.Option(min=1, help="Number of copies per sentence.")] = 1,
    mix: Annotated[
        str,
        typer.Option(
            help="single: copies in each language; sentence: a random language for each copy; "
            "token: a random language for each phrase."
        ),
    ] = "sentence",
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    switch_entities: Annotated[
        bool,
        typer.Option(
            "--switch-entities", help="Also replace names that have one unambiguous translation."
        ),
    ] = False,
    unlabelled_views: Annotated[
        bool,
        typer.Option(
            "--unlabelled-views",
            help="Use the copies for contrastive learning only, without labels.",
        ),
    ] = False,
    views_only: Annotated[
        bool, typer.Option("--views-only", help="Leave the source sentences out of the output.")
    ] = False,
) -> None:
    """Write code-switched views: each source sentence, followed by its copies."""
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
        f"Replaced {report.replaced / report.words:.1%} of {report.words} words outside entities; "
        f"left out {report.unchanged} copies without replacements"
    )


@command("translate", "Views")
def translate_cli(
    path: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A .spacy file, or a folder of them.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The .spacy file to write.")],
    source: Annotated[str, typer.Option("--from", help="Language of the corpus.")],
    targets: Annotated[str, typer.Option("--to", help="Target languages: es,de.")],
    engine: Annotated[
        str,
        typer.Option(
            help="memory, apertium, huggingface, lexicon, or auto for the first one that supports "
            "the language pair."
        ),
    ] = "auto",
    memory: Annotated[
        Optional[list[Path]],
        typer.Option(
            help="Translation memory: .tsv or .jsonl with language codes as columns or keys, or "
            ".conllu or marked .txt files, one per language, or folders of them; repeat."
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="Folder or hub name of a translation model; {source} and {target} are replaced by "
            "the languages."
        ),
    ] = "",
    lexicon: Annotated[
        Optional[list[str]],
        typer.Option(
            help="LANGUAGE=FILE for a target language and its lexicon; repeat. Used by the engine "
            "lexicon, and for word alignment with any engine."
        ),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(
            help="Folder or hub name of an encoder for word alignment. By default, words are "
            "aligned by names and lexicons."
        ),
    ] = "",
    min_confidence: Annotated[
        float,
        typer.Option(
            help="Entities with a lower alignment confidence count as not projected. Low "
            "confidence also lowers the weight of the view."
        ),
    ] = 0.0,
    incomplete: Annotated[
        str,
        typer.Option(
            help="For translations with entities that could not be projected: drop leaves them "
            "out, unlabelled keeps them for contrastive learning without labels, keep writes them "
            "with the projected entities only."
        ),
    ] = "drop",
    cache: Annotated[
        Optional[Path],
        typer.Option(help="Cache of translations; by default next to the output."),
    ] = None,
    report: Annotated[
        Optional[Path], typer.Option(help="JSON file to write projection counts per label to.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="Device of the translation model: cpu, cuda:0.")
    ] = "cpu",
    beams: Annotated[int, typer.Option(min=1, help="Beam width of the translation model.")] = 4,
    max_length: Annotated[
        int,
        typer.Option(min=8, help="Maximum length of a text and its translation in word pieces."),
    ] = 256,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Texts per batch of the translation model.")
    ] = 16,
    on: Annotated[str, ON] = "local",
    workers: Annotated[int, WORKERS] = 1,
    threads: Annotated[Optional[int], OWN_THREADS] = None,
    address: Annotated[str, ADDRESS] = "",
    gpus_per_worker: Annotated[float, GPUS] = 0.0,
) -> None:
    """Translate a corpus and project its labels: each source sentence, then its translations."""
    from spacy_crossner.lexicon.codeswitch import parse_lexicons
    from spacy_crossner.scale.execution import make_run
    from spacy_crossner.tables import render_rows
    from spacy_crossner.translate.engines import EngineSettings
    from spacy_crossner.translate.run import describe, tabulate, translate

    langs = split_list(targets)
    if not langs:
        raise CrossnerError(Errors.CN035.format(what="target language", option="--to"))
    result = translate(
        path,
        out,
        source=source,
        targets=langs,
        engine=engine,
        settings=EngineSettings(
            memory=tuple(memory or ()),
            model=model,
            lexicons=parse_lexicons(lexicon or ()),
            device="cuda" if gpus_per_worker and device == "cpu" else device,
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
        run=make_run(make_execution(on, workers, threads, address, gpus_per_worker)),
    )
    header, rows = tabulate(result)
    typer.echo(render_rows(header, rows))
    notes: dict[str, list[str]] = {}
    for target, one in result.items():
        for line in describe(one):
            notes.setdefault(line, []).append(target)
    for line, langs in notes.items():
        msg.text(line if len(langs) == len(result) else f"{', '.join(langs)}: {line}")
    views = sum(one.views for one in result.values())
    labels = f"; by label: {report}" if report else ""
    msg.good(f"{out}: {views} views{labels}")

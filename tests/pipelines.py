"""Small pipelines over the tiny encoder, and data that they can learn by heart."""

from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed, load_model_from_config
from thinc.api import Config

TRAIN_DATA = [
    ("Angela Merkel visited Berlin.", [(0, 13, "PER"), (22, 28, "LOC")]),
    (
        "Maria Silva works at Acme Corp in Paris.",
        [(0, 11, "PER"), (21, 30, "ORG"), (34, 39, "LOC")],
    ),
    ("the president of France lives in Paris", [(17, 23, "LOC"), (33, 38, "LOC")]),
    ("the bank in the city was by the river", []),
    ("London and Berlin and Paris", [(0, 6, "LOC"), (11, 17, "LOC"), (22, 27, "LOC")]),
]

CONFIG = """
[nlp]
lang = "xx"
pipeline = ["transformer"]

[components]

[components.transformer]
factory = "transformer"

[components.transformer.model]
@architectures = "spacy-crossner.TransformerModel.v1"
window = 100
stride = 60
"""


def make_config(encoder: Path, **components: dict[str, Any]) -> Config:
    """Make the config of a pipeline with the tiny encoder and the given components."""
    config = Config().from_str(CONFIG)
    config["components"]["transformer"]["model"]["name"] = str(encoder)
    # a tiny encoder learns by heart, if dropout lets it
    config["components"]["transformer"]["model"]["transformer_config"] = {
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    for name, settings in components.items():
        if name == "transformer":
            config["components"]["transformer"]["model"].update(settings)
            continue
        config["nlp"]["pipeline"].append(name)
        config["components"][name] = {"factory": name, **settings}
    return config


def make_nlp(encoder: Path, *, seed: int = 0, **components: dict[str, Any]) -> Language:
    """Make the pipeline of `make_config`, not initialized."""
    fix_random_seed(seed)
    return load_model_from_config(make_config(encoder, **components), auto_fill=True)


def make_examples(nlp: Language, data: list = TRAIN_DATA, spans_key: str = "") -> list[Example]:
    """Make examples with entities, or with a span group of all of them."""
    examples = []
    for text, entities in data:
        reference = nlp.make_doc(text)
        spans = [reference.char_span(start, end, label) for start, end, label in entities]
        if spans_key:
            reference.spans[spans_key] = spans
        else:
            reference.set_ents(spans)
        examples.append(Example(nlp.make_doc(text), reference))
    return examples


def train(
    nlp: Language, examples: list[Example], steps: int = 60, rate: float = 0.005
) -> list[dict]:
    """Initialize and train.

    RETURNS (List[Dict[str, float]]): The losses of each step.
    """
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = rate
    history = []
    for _ in range(steps):
        losses: dict[str, float] = {}
        nlp.update(examples, sgd=optimizer, losses=losses)
        history.append(losses)
    return history


def found(doc: Doc) -> list[tuple[str, str]]:
    """List the text and label of each entity."""
    return [(ent.text, ent.label_) for ent in doc.ents]


def scored(doc: Doc, key: str = "sc") -> list[tuple[str, str, float]]:
    """List the text, label and score of each candidate."""
    group = doc.spans[key]
    return [
        (span.text, span.label_, round(float(score), 5))
        for span, score in zip(group, group.attrs["scores"], strict=True)
    ]

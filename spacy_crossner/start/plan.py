"""What a project for one's own data will do, and roughly how long it takes."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

import srsly
from thinc.api import Config

from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.files import write_json
from spacy_crossner.training.recipes import BY_HAND, CONTRAST, find_recipe

# Seen on two cores with the embedded encoder, in words a second.
TRAINED = 500
READ = 1500
# Minutes that the encoder takes, with its download.
ENCODER = 2
# How much of a batch is padding.
PADDING = 1.25
# How often training sees each sentence: more often while there are few, as each step teaches.
PASSES_OF_LITTLE, LITTLE_STEPS = 10, 600
PASSES_OF_MUCH = 3
# With 200 steps instead of 400, 500 sentences have 4 F1 less, and seeds differ more.
LEAST_STEPS, MOST_STEPS = 400, 4000


@dataclass
class Target:
    """What there is for one target language.

    engine (Optional[str]): What translates into it.
    known (Optional[int]): How many of the sentences to train on a translation memory has; None if
        it is something else that translates.
    dictionary (Optional[str]): Sources of its lexicon: options of the command `lexicon`.
    text (Optional[str]): Its plain text, a file of the project.
    words (int): Words of that text.
    test (bool): Whether there are labelled test sentences.
    labels (int): Number of labelled sentences to train on.
    """

    engine: Optional[str] = None
    known: Optional[int] = None
    dictionary: Optional[str] = None
    text: Optional[str] = None
    words: int = 0
    test: bool = False
    labels: int = 0


@dataclass
class Plan:
    """The contents of a project, saved with it.

    source (str): The language of the labels.
    labels (Dict[str, int]): Entities by type.
    sentences (int): Sentences to train on.
    words (int): Their words.
    kept_back (int): Further sentences of the labels, kept back to select and calibrate on.
    recipe (str): Name of the config.
    encoder (str): "embedded", a folder, or a name on the Hugging Face hub.
    gpu_id (int): The GPU to use, -1 for the CPU.
    memory (bool): Whether there is a translation memory.
    model (str): A translation model.
    targets (Dict[str, Target]): By language.
    name (str): What follows the language in the names of the wheels.
    oddities (List[str]): What is odd about the labelled file, in sentences for the user.
    """

    source: str
    labels: dict[str, int]
    sentences: int
    words: int
    kept_back: int = 0
    recipe: str = "crossner"
    encoder: str = "embedded"
    gpu_id: int = -1
    memory: bool = False
    model: str = ""
    targets: dict[str, Target] = field(default_factory=dict)
    name: str = "crossner_trf"
    oddities: list[str] = field(default_factory=list)

    @property
    def few(self) -> list[str]:
        """Target languages with labelled training sentences."""
        return [lang for lang, target in self.targets.items() if target.labels]

    @property
    def translated(self) -> list[str]:
        """Languages to translate into, if the recipe uses translations."""
        use = find_recipe(self.recipe).views.get("translation")
        # only a translation memory can have labels that a person has made
        wanted = use is not None and (use != BY_HAND or self.memory)
        return [lang for lang, target in self.targets.items() if target.engine and wanted]

    @property
    def switched(self) -> list[str]:
        """Languages of code-switched copies."""
        known = [lang for lang, target in self.targets.items() if target.dictionary]
        return known if "codeswitch" in find_recipe(self.recipe).views else []

    @property
    def lexicons(self) -> list[str]:
        """Languages whose dictionary is used for code-switching or for label projection."""
        used = {*self.switched, *self.translated}
        return [lang for lang, target in self.targets.items() if target.dictionary and lang in used]

    @property
    def annotated(self) -> list[str]:
        """Languages with plain text, if the recipe has students."""
        texts = [lang for lang, target in self.targets.items() if target.text]
        return texts if find_recipe(self.recipe).rounds else []

    @property
    def tested(self) -> list[str]:
        """Languages with labelled test sentences."""
        return [lang for lang, target in self.targets.items() if target.test]

    @property
    def readable(self) -> bool:
        """Whether all languages have text to trim the vocabulary with."""
        seen = {*self.translated, *self.annotated, *self.tested}
        return all(lang in seen for lang in self.targets)

    @property
    def contrasts(self) -> bool:
        """Whether the recipe uses views for contrastive learning only, without labels."""
        return CONTRAST in find_recipe(self.recipe).views.values()

    @property
    def view_words(self) -> int:
        """Estimate the number of words in all views."""
        return self.words * (1 + len(self.translated) + bool(self.switched))

    @property
    def text_words(self) -> int:
        """Count the words of all plain text."""
        return sum(target.words for target in self.targets.values())

    def count_steps(self, words: int) -> int:
        """Estimate a useful number of optimizer steps for a number of words."""
        size = Config().from_disk(find_recipe(self.recipe).config)["training"]["batcher"]["size"]
        once = PADDING * words / size
        steps = max(min(PASSES_OF_LITTLE * once, LITTLE_STEPS), PASSES_OF_MUCH * once)
        return int(min(max(round(steps, -1), LEAST_STEPS), MOST_STEPS))

    def estimate_minutes(self) -> dict[str, int]:
        """Estimate the minutes of each step on two cores."""
        size = Config().from_disk(find_recipe(self.recipe).config)["training"]["batcher"]["size"]

        def train(words: int) -> int:
            return 1 + round(self.count_steps(words) * size / PADDING / TRAINED / 60)

        minutes = {"encoder": ENCODER}
        if self.translated or self.switched:
            minutes["translations"] = 1 + round(len(self.translated) * self.sentences / 6000)
        minutes["train"] = train(self.view_words)
        if self.annotated:
            minutes["annotate"] = 1 + round(self.text_words / READ / 60)
            minutes["student"] = train(self.view_words + self.text_words)
        minutes["calibrate, evaluate, report, package, verify"] = 5
        return minutes


def write_plan(plan: Plan, path: Path) -> None:
    """Save a plan as JSON, atomically."""
    write_json(path, asdict(plan))


def read_plan(path: Path) -> Plan:
    """Read a plan that `write_plan` has saved."""
    try:
        values: dict[str, Any] = dict(srsly.read_json(path))
        targets = {lang: Target(**target) for lang, target in values.pop("targets").items()}
        return Plan(**values, targets=targets)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CrossnerError(Errors.CN031.format(path=path, problem=error)) from None


def describe(plan: Plan) -> list[str]:
    """Say what will happen.

    plan (Plan): The plan.
    RETURNS (List[str]): Plain sentences.
    """
    kept = f" to train on, {plan.kept_back} more kept back to select and calibrate on"
    lines = [
        f"Labels: {plan.sentences} sentences in {plan.source}{kept if plan.kept_back else ''}: "
        + ", ".join(f"{label} {count}" for label, count in sorted(plan.labels.items()))
    ]
    rare = [label for label, count in sorted(plan.labels.items()) if count < 30]
    if rare:
        lines.append(f"Few examples of {', '.join(rare)}: do not expect much of them.")
    for lang, target in plan.targets.items():
        lines.append(f"{lang}: {_describe_target(target, plan.sentences, plan.contrasts)}")
    if not plan.tested:
        lines.append(
            "No target language has labelled test sentences, so nothing will say how good the "
            f"result is there; the report shows {plan.source} only. 100 sentences help a lot."
        )
    minutes = plan.estimate_minutes()
    steps = ", ".join(f"{step} {value}" for step, value in minutes.items())
    lines.append(f"Minutes on two cores, very roughly: {steps}; {sum(minutes.values())} in all")
    return lines


def _describe_target(target: Target, sentences: int, contrasts: bool) -> str:
    if contrasts:
        use = "words mixed in from a dictionary"
    elif target.engine:
        use = "a dictionary that helps to place labels"
    else:
        use = "a dictionary, which this recipe has no use for"
    known = "" if target.known is None else f" ({target.known} of {sentences} sentences are in it)"
    parts = [
        f"translated by {target.engine}{known}" if target.engine else "no translation",
        use if target.dictionary else "no dictionary",
        f"{target.words} words of text for a student to learn from"
        if target.text
        else "no plain text, which is what helps most",
        "tested" if target.test else "not tested",
    ]
    if target.labels:
        parts.insert(0, f"{target.labels} labelled sentences to train on")
    return "; ".join(parts)

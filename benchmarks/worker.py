"""A process that runs one system on texts, and reports time and memory.

It runs as a script, under any interpreter that has the system installed: for other systems than
ours, it imports nothing of the package. Its arguments are the kind of system and the folder that it
loads. Each line of its input is a JSON object with "texts" and "batch_size", each line of its
output one with "seconds" and "mebibytes", the first of them on the loading, where that memory is
counted apart (on Linux). With "prepare" as the first argument it writes a system
with untrained weights of the usual size.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# What a multilingual model of base size has.
WIDTH, LAYERS, HEADS = 768, 12, 12
LABELS = ["person", "organization", "location"]
MARKER_LENGTH = 256
STATUS = Path("/proc/self/status")

Read = Callable[[list[str], int], Any]


def load_spacy(folder: Path) -> Read:
    """Load a spaCy pipeline."""
    import spacy

    nlp = spacy.load(folder)
    return lambda texts, batch_size: [len(d.ents) for d in nlp.pipe(texts, batch_size=batch_size)]


def load_gliner(folder: Path) -> Read:
    """Load a GLiNER model."""
    from gliner import GLiNER

    model = GLiNER.from_pretrained(str(folder), local_files_only=True)
    model.eval()
    # untrained weights are sure of nothing: half of all spans would pass the usual threshold
    settings: dict[str, Any] = {"threshold": 0.99}
    return lambda texts, batch_size: model.inference(
        texts, LABELS, batch_size=batch_size, **settings
    )


def load_span_marker(folder: Path) -> Read:
    """Load a SpanMarker model."""
    from span_marker import SpanMarkerModel

    model = SpanMarkerModel.from_pretrained(str(folder)).eval()
    return lambda texts, batch_size: model.predict(texts, batch_size=batch_size)


def load_full_table(folder: Path) -> Read:
    """Load an encoder that scores every pair of words."""
    # a script has no packages beside its own folder
    sys.path.append(str(Path(__file__).parent.parent))
    from benchmarks.full_table import FullTableReader

    return FullTableReader(folder)


def prepare_gliner(encoder: Path, folder: Path) -> None:
    """Write GLiNER over an encoder of mDeBERTa's base size.

    encoder (Path): Has the tokenizer, and gets the encoder's config.
    folder (Path): The folder to write.
    """
    from gliner import GLiNER, GLiNERConfig
    from transformers import AutoTokenizer, DebertaV2Config

    DebertaV2Config(
        vocab_size=len(AutoTokenizer.from_pretrained(encoder)),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        type_vocab_size=0,
        relative_attention=True,
        position_buckets=256,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
    ).save_pretrained(encoder)
    config = GLiNERConfig(model_name=str(encoder), hidden_size=512, max_width=12, max_len=384)
    GLiNER.from_config(config, backbone_from_pretrained=False).save_pretrained(folder)


def prepare_span_marker(encoder: Path, folder: Path) -> None:
    """Write SpanMarker over an encoder of XLM-R's base size.

    encoder (Path): Has the tokenizer, and gets the encoder.
    folder (Path): The folder to write.
    """
    import torch
    from span_marker import SpanMarkerModel
    from transformers import AutoTokenizer, XLMRobertaConfig, XLMRobertaModel

    config = XLMRobertaConfig(
        vocab_size=len(AutoTokenizer.from_pretrained(encoder)),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=514,
        type_vocab_size=1,
    )
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(encoder)
    model = SpanMarkerModel.from_pretrained(
        str(encoder), labels=["O", *LABELS], model_max_length=MARKER_LENGTH
    )
    with torch.no_grad():
        # as a trained one does, it shall find nothing in most places
        model.classifier.bias[0] = 10.0
    model.save_pretrained(folder)


LOAD: dict[str, Callable[[Path], Read]] = {
    "spacy": load_spacy,
    "gliner": load_gliner,
    "span-marker": load_span_marker,
    "full-table": load_full_table,
}
PREPARE: dict[str, Callable[[Path, Path], None]] = {
    "gliner": prepare_gliner,
    "span-marker": prepare_span_marker,
}


def serve(load: Callable[[Path], Read], folder: Path, lines: Iterable[str], say: Callable) -> None:
    """Load a system, then read texts as often as asked.

    load (Callable[[Path], Read]): Loads it.
    folder (Path): What it loads.
    lines (Iterable[str]): JSON objects with "texts" and "batch_size".
    say (Callable): Gets the answers.
    """
    start = time.perf_counter()
    read = load(folder)
    # the first text makes some systems load the rest
    read(["Warm up."], 1)
    say({"seconds": time.perf_counter() - start, "mebibytes": peak_mebibytes()})
    reset_peak_memory()
    for line in lines:
        task = json.loads(line)
        start = time.perf_counter()
        read(task["texts"], task["batch_size"])
        say({"seconds": time.perf_counter() - start, "mebibytes": peak_mebibytes()})


def peak_mebibytes() -> float:
    """Return the peak memory of this process in MiB; on Linux, since `reset_peak_memory`."""
    if STATUS.exists():
        (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def reset_peak_memory() -> None:
    """Reset the peak memory to the current memory of the process, on Linux."""
    if STATUS.exists():
        STATUS.with_name("clear_refs").write_text("5")


def main() -> None:
    """Do what the arguments say."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # systems may print to stdout, so answers use a separate stream
    answers = os.fdopen(os.dup(1), "w", encoding="utf8")
    os.dup2(2, 1)

    def say(answer: dict[str, float]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    if sys.argv[1] == "prepare":
        PREPARE[sys.argv[2]](Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        serve(LOAD[sys.argv[1]], Path(sys.argv[2]), sys.stdin, say)


if __name__ == "__main__":
    # the folder of this script: some modules there have the names of packages that others need
    sys.path.pop(0)
    main()

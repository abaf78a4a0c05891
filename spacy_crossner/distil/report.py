"""What was annotated, in a table."""

from spacy_crossner.distil.manifest import Manifest
from spacy_crossner.distil.outputs import expected_f


def list_tallies(manifest: Manifest) -> tuple[tuple[str, ...], list[tuple]]:
    """Put a manifest into a table, a row for each language.

    manifest (Manifest): What was annotated.
    RETURNS (tuple): The header and the rows. "expected F1" is what the teachers' entities score if
        their probabilities are right; "agreement" is only there for several teachers or passes.
    """
    total = manifest.sum_up()
    labels = sorted({label for tally in total.values() for label in tally.entities})
    several = len(manifest.settings["teachers"]) > 1 or manifest.settings["passes"] > 1
    header = ["lang", "texts", "tokens", *labels, "masked", "expected F1", "bytes/text"]
    rows = []
    for lang, tally in sorted(total.items()):
        row = [lang, tally.docs, tally.tokens, *(tally.entities[label] for label in labels)]
        row.append(f"{tally.masked / tally.tokens:.1%}")
        row.append(f"{100 * expected_f(tally.correct, tally.found, tally.expected):.1f}")
        row.append(f"{tally.soft_bytes / tally.docs:.0f}")
        if several:
            row.append(f"{tally.agreement / tally.docs:.3f}")
        rows.append(tuple(row))
    return (*header, *(["agreement"] if several else [])), rows

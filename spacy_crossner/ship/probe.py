"""A script that `verify` runs in the clean environment; it must not import this package.

Cuts the network off, loads a pipeline by its name, and writes down what it finds. The one argument
is a JSON file with the request, which is replaced by the answer.
"""

import json
import sys
import time

NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")


def cut_network(event, args):
    """Refuse connections: an audit hook, which finds mistakes but stops no attack."""
    if event in NETWORK:
        raise OSError(f"the network is cut off, but something called {event}{args[1:]}")


def hide(names):
    """Make packages look as if they were not installed.

    names (List[str]): Their names.
    """
    if not names:
        return
    from importlib import metadata
    from importlib.machinery import PathFinder

    class Visible(PathFinder):
        """Finds everything else."""

        @classmethod
        def find_spec(cls, name, path=None, target=None):
            return None if name.split(".")[0] in names else super().find_spec(name, path, target)

    find_all = metadata.distributions

    def distributions(**parameters):
        for found in find_all(**parameters):
            if found.metadata["Name"].replace("-", "_").lower() not in names:
                yield found

    # also where entry points are looked up
    metadata.distributions = distributions
    sys.meta_path[sys.meta_path.index(PathFinder)] = Visible


def scores_of(group):
    """Get the scores of a span group, zeros if it has none."""
    return group.attrs.get("scores", [0.0] * len(group))


def main(path):
    """Answer the request in a JSON file, in its place."""
    sys.addaudithook(cut_network)
    with open(path, encoding="utf8") as file_:
        request = json.load(file_)
    hide(request.get("hide", []))
    import spacy

    before = sorted(name for name in sys.modules if name.split(".")[0] == "spacy_crossner")
    start = time.perf_counter()
    nlp = spacy.load(request["name"])
    seconds = time.perf_counter() - start
    docs = []
    for doc in nlp.pipe(request["texts"]):
        docs.append(
            {
                "words": [token.text for token in doc],
                "spaces": [bool(token.whitespace_) for token in doc],
                "ents": [[ent.start, ent.end, ent.label_] for ent in doc.ents],
                "spans": {
                    key: [
                        [span.start, span.end, span.label_, float(score)]
                        for span, score in zip(group, scores_of(group), strict=True)
                    ]
                    for key, group in doc.spans.items()
                },
            }
        )
    hidden = [name for name in request.get("hide", []) if name in sys.modules]
    answer = {"imported": before, "hidden": hidden, "seconds": seconds, "docs": docs}
    with open(path, "w", encoding="utf8") as file_:
        json.dump(answer, file_)


if __name__ == "__main__":
    main(sys.argv[1])

"""A local web page that shows what a pipeline finds in any text."""

import json
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Optional, Union

import spacy
from jinja2 import Environment, PackageLoader
from spacy.language import Language
from spacy.tokens import Doc

from spacy_crossner.data.groups import DISCONTINUOUS, SCORES
from spacy_crossner.errors import CrossnerError, Errors
from spacy_crossner.pipeline.load import load_pipeline
from spacy_crossner.pipeline.ner import CrossnerNER
from spacy_crossner.report.examples import EXAMPLES
from spacy_crossner.report.names import language_name, pipeline_name, pipeline_version

HOST = "127.0.0.1"
PORT = 8765
MAX_CHARACTERS = 20_000
# JSON may write a character as "\ud83d\ude00"
BYTES_PER_CHARACTER = 12
# The slider goes no lower, so that the number of candidates stays readable.
LEAST_THRESHOLD = 0.02
SECONDS_TO_SEND = 20
PAGE = "demo.html"
# The page may only talk to the server that it came from.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src data:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_demo(
    model: Union[str, Path],
    *,
    port: int = PORT,
    max_characters: int = MAX_CHARACTERS,
    gpu_id: int = -1,
) -> "DemoServer":
    """Load a pipeline and bind the demo to this machine's own address, 127.0.0.1.

    model (Union[str, Path]): A pipeline folder, or the name of an installed one.
    port (int): The port; 0 takes a free one.
    max_characters (int): Longest text that is analysed.
    gpu_id (int): The GPU to use, -1 for the CPU.
    RETURNS (DemoServer): The server. `serve_forever` starts it, `url` is its address.
    """
    if gpu_id >= 0:
        spacy.require_gpu(gpu_id)
    analyser = Analyser(load_pipeline(model), str(model), max_characters)
    try:
        return DemoServer(analyser, port)
    except OSError as error:
        reason = error.strerror or error
        raise CrossnerError(
            Errors.CN681.format(port=port, host=HOST, reason=reason, model=model)
        ) from None


class Analyser:
    """Finds entities for the page, one text at a time."""

    def __init__(self, nlp: Language, path: str, max_characters: int = MAX_CHARACTERS):
        """Check that the pipeline finds entities.

        nlp (Language): The pipeline.
        path (str): Where it was loaded from, for the page's title.
        max_characters (int): Longest text.
        """
        self.nlp = nlp
        self.path = path
        self.max_characters = max_characters
        self.heads = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, CrossnerNER)]
        assigned = {name for pipe in nlp.pipe_names for name in nlp.get_pipe_meta(pipe).assigns}
        if not any(name.startswith(("doc.ents", "doc.spans")) for name in assigned):
            raise CrossnerError(Errors.CN680.format(model=path, names=", ".join(nlp.pipe_names)))
        self._lock = threading.Lock()

    def describe(self) -> dict[str, Any]:
        """Describe the pipeline for the page."""
        meta = self.nlp.meta
        known = set(meta.get("languages") or ())
        examples = [
            {"lang": lang, "name": language_name(lang), "text": text}
            for lang, text in EXAMPLES.items()
            if not known or lang in known
        ]
        return {
            "name": pipeline_name(self.nlp, self.path),
            "version": pipeline_version(self.nlp),
            "components": self.nlp.pipe_names,
            "labels": sorted({label for pipe in self.heads for label in pipe.labels}),
            "threshold": self.heads[0].threshold if self.heads else None,
            "least": LEAST_THRESHOLD,
            "limit": self.max_characters,
            "examples": examples,
        }

    def analyse(self, text: str, threshold: Optional[float] = None) -> dict[str, Any]:
        """Find the entities of a text.

        text (str): The text.
        threshold (Optional[float]): Least score, None for the pipeline's own.
        RETURNS (Dict[str, Any]): The text; "ents", the entities without overlap, and "spans", all
            candidates, each with "start" and "end" in characters, "label", "text" and "score";
            and the time it took in milliseconds.
        """
        # the threshold belongs to the pipeline, and requests come in parallel
        with self._lock:
            before = [pipe.cfg["threshold"] for pipe in self.heads]
            for pipe in self.heads:
                pipe.cfg["threshold"] = pipe.threshold if threshold is None else threshold
            begin = time.perf_counter()
            try:
                doc = self.nlp(text)
            finally:
                for pipe, value in zip(self.heads, before, strict=True):
                    pipe.cfg["threshold"] = value
            seconds = time.perf_counter() - begin
        return {"text": text, **read_entities(doc), "milliseconds": round(1000 * seconds, 1)}


def read_entities(doc: Doc) -> dict[str, list[dict[str, Any]]]:
    """Read entities and candidates as JSON values.

    doc (Doc): An annotated doc.
    RETURNS (Dict[str, List[Dict[str, Any]]]): "ents" and "spans", as `analyse` returns them.
        Discontinuous candidates also have "fragments", pairs of start and end.
    """
    spans, scores = [], {}
    for group in doc.spans.values():
        for span, score in zip(group, group.attrs.get(SCORES, ()), strict=False):
            spans.append(_to_json(doc, [(span.start, span.end)], span.label_, float(score)))
            scores[span.start, span.end, span.label_] = float(score)
        for tokens, label, score in group.attrs.get(DISCONTINUOUS, ()):
            spans.append(_to_json(doc, _join_tokens(tokens), label, float(score)))
    ents = [
        _to_json(
            doc,
            [(ent.start, ent.end)],
            ent.label_,
            scores.get((ent.start, ent.end, ent.label_)),
        )
        for ent in doc.ents
    ]
    return {"ents": ents, "spans": spans or ents}


def _join_tokens(tokens: list[int]) -> list[tuple[int, int]]:
    """Merge consecutive token indices into (start, end) ranges."""
    runs: list[tuple[int, int]] = []
    for token in tokens:
        if runs and runs[-1][1] == token:
            runs[-1] = (runs[-1][0], token + 1)
        else:
            runs.append((token, token + 1))
    return runs


def _to_json(
    doc: Doc, runs: list[tuple[int, int]], label: str, score: Optional[float]
) -> dict[str, Any]:
    fragments = [[doc[a:b].start_char, doc[a:b].end_char] for a, b in runs]
    found = {
        "start": fragments[0][0],
        "end": fragments[-1][1],
        "label": label,
        "text": " … ".join(doc.text[a:b] for a, b in fragments),
        "score": None if score is None else round(score, 4),
    }
    return found if len(fragments) == 1 else {**found, "fragments": fragments}


def render_page(analyser: Analyser) -> str:
    """Render the self-contained page."""
    templates = PackageLoader("spacy_crossner.report", "templates")
    environment = Environment(loader=templates, autoescape=True)
    return environment.get_template(PAGE).render(page=analyser.describe())


class DemoServer(ThreadingHTTPServer):
    """Serves the page and its analyses on 127.0.0.1 only."""

    daemon_threads = True
    # a second demo on the same port has to fail, not to share it
    allow_reuse_port = False

    def __init__(self, analyser: Analyser, port: int = PORT):
        """Bind the server.

        analyser (Analyser): Finds the entities.
        port (int): The port; 0 takes a free one.
        """
        self.analyser = analyser
        self.page = render_page(analyser).encode("utf8")
        super().__init__((HOST, port), _Handler)

    @property
    def url(self) -> str:
        """URL of the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    @property
    def hosts(self) -> set[str]:
        """Host names that requests may use."""
        return {f"{name}:{self.server_address[1]}" for name in (HOST, "localhost")}


class _Handler(BaseHTTPRequestHandler):
    server: DemoServer
    timeout = SECONDS_TO_SEND
    server_version, sys_version = "spacy-crossner", ""

    def do_GET(self) -> None:
        if not self._is_local():
            return
        if self.path.partition("?")[0] == "/":
            self._send(HTTPStatus.OK, self.server.page, "text/html")
        else:
            self._fail(HTTPStatus.NOT_FOUND, Errors.CN684.format(path=self.path[:80]))

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        if not self._is_local():
            return
        if self.path != "/analyse":
            self._fail(HTTPStatus.NOT_FOUND, Errors.CN684.format(path=self.path[:80]))
            return
        analyser = self.server.analyser
        limit = analyser.max_characters
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._fail(HTTPStatus.LENGTH_REQUIRED, Errors.CN683.format(problem="it has no length"))
            return
        if int(length) > BYTES_PER_CHARACTER * limit + 1000:
            self._fail(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                Errors.CN682.format(found=f"about {int(length)}", limit=limit),
            )
            return
        try:
            text, threshold = read_request(self.rfile.read(int(length)))
        except CrossnerError as error:
            self._fail(HTTPStatus.BAD_REQUEST, str(error))
            return
        if len(text) > limit:
            message = Errors.CN682.format(found=len(text), limit=limit)
            self._fail(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
            return
        try:
            found = analyser.analyse(text, threshold)
        except Exception as error:  # the page says so, and the demo stays up
            message = Errors.CN685.format(error=f"{type(error).__name__}: {error}")
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, message)
            return
        self._send_json(HTTPStatus.OK, found)

    def _is_local(self) -> bool:
        """Refuse other sites that point their name at this machine or send forms to it."""
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        hosts = self.server.hosts
        local = host in hosts and (origin is None or origin.removeprefix("http://") in hosts)
        kind = self.headers.get_content_type()
        if local and (self.command != "POST" or kind == "application/json"):
            return True
        self._fail(HTTPStatus.FORBIDDEN, Errors.CN686.format(url=self.server.url))
        return False

    def _fail(self, status: HTTPStatus, message: str) -> None:
        # what was not read of a body would be taken for the next request
        self.close_connection = True
        self._send_json(status, {"error": message})

    def _send_json(self, status: HTTPStatus, values: dict[str, Any]) -> None:
        self._send(status, json.dumps(values).encode("utf8"), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Don't log requests, for privacy."""


def read_request(body: bytes) -> tuple[str, Optional[float]]:
    """Read what the page sends.

    body (bytes): JSON with "text", and perhaps "threshold".
    RETURNS (Tuple[str, Optional[float]]): Both.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        raise CrossnerError(Errors.CN683.format(problem="it is not JSON")) from None
    text = values.get("text") if isinstance(values, dict) else None
    if not isinstance(text, str):
        raise CrossnerError(Errors.CN683.format(problem="'text' is not a string"))
    threshold = values.get("threshold")
    number = isinstance(threshold, (int, float)) and not isinstance(threshold, bool)
    if threshold is not None and not (number and 0.0 <= threshold <= 1.0):
        problem = "'threshold' is not a number from 0 to 1"
        raise CrossnerError(Errors.CN683.format(problem=problem))
    # tokenizers can't process lone surrogates
    text = text.encode("utf8", "replace").decode("utf8")
    return text, None if threshold is None else max(float(threshold), LEAST_THRESHOLD)

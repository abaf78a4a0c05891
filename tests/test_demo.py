"""The demo page: what it answers, whom it answers, and how it looks in a real browser."""

import json
import socket
import threading
import urllib.error
import urllib.request

import pytest
import spacy
from typer.testing import CliRunner

from spacy_crossner import cli
from spacy_crossner.errors import CrossnerError
from spacy_crossner.report.demo import (
    BYTES_PER_CHARACTER,
    LEAST_THRESHOLD,
    Analyser,
    DemoServer,
    make_demo,
    read_entities,
    read_request,
)
from spacy_crossner.report.examples import EXAMPLES
from tests.browser import Browser
from tests.pipelines import TRAIN_DATA, make_examples, make_nlp, train

# the tiny encoder knows few scripts
pytestmark = pytest.mark.filterwarnings(r"ignore:\[CNW03\]")
TEXT = TRAIN_DATA[0][0]
HOSTILE = (
    "<img src=x onerror=\"document.title='hacked'\"> Berlin </script><script>alert(1)</script>"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_encoder):
    nlp = make_nlp(tiny_encoder, token_label_ner={})
    train(nlp, make_examples(nlp), steps=40)
    nlp.meta["name"] = "demo</script><b>"
    nlp.to_disk(tmp_path_factory.mktemp("demo") / "model")
    return tmp_path_factory.getbasetemp() / "demo0" / "model"


@pytest.fixture(scope="module")
def server(folder):
    server = make_demo(folder, port=0, max_characters=300)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def ask(server, body=None, path="analyse", **headers):
    """Send a request; return the answer's status, headers and body."""
    data = json.dumps(body).encode("utf8") if isinstance(body, (dict, list)) else body
    kind = {"Content-Type": "application/json"} if data is not None else {}
    request = urllib.request.Request(server.url + path, data, {**kind, **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read().decode("utf8")
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode("utf8")


def analyse(server, **values):
    status, _, body = ask(server, values)
    assert status == 200, body
    return json.loads(body)


def test_it_finds_what_the_pipeline_finds(server, folder):
    nlp = spacy.load(folder)
    for text, _ in TRAIN_DATA:
        doc = nlp(text)
        found = analyse(server, text=text)
        assert found["text"] == text
        assert [(e["start"], e["end"], e["label"]) for e in found["ents"]] == [
            (ent.start_char, ent.end_char, ent.label_) for ent in doc.ents
        ]
        assert all(text[e["start"] : e["end"]] == e["text"] for e in found["ents"])
        scores = {round(float(score), 4) for score in doc.spans["sc"].attrs["scores"]}
        assert {span["score"] for span in found["spans"]} == scores


def test_threshold_of_a_request_is_not_kept(server):
    before = analyse(server, text=TEXT)
    low = analyse(server, text=TEXT, threshold=0.0)
    high = analyse(server, text=TEXT, threshold=1.0)
    assert len(low["spans"]) >= len(before["spans"]) >= len(high["spans"])
    assert high["ents"] == []
    assert all(span["score"] >= LEAST_THRESHOLD for span in low["spans"])
    assert analyse(server, text=TEXT)["ents"] == before["ents"]
    results = []
    threads = [
        threading.Thread(
            target=lambda t=t: results.append((t, analyse(server, text=TEXT, threshold=t)["ents"]))
        )
        for t in (0.1, 1.0) * 6
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 12
    assert all(bool(ents) == (threshold < 1) for threshold, ents in results)


@pytest.mark.parametrize("text", ["", " \n ", "🙂 Berlin 🙂", "\ud83d", "\x00 Berlin", HOSTILE])
def test_any_text_is_answered(server, text):
    found = analyse(server, text=text)
    assert all(found["text"][e["start"] : e["end"]] == e["text"] for e in found["ents"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"no json", 400, "CN683"),
        (b"[" * 500, 400, "CN683"),
        (b"\xff\xfe", 400, "CN683"),
        ([1], 400, "CN683"),
        ({"text": 3}, 400, "CN683"),
        ({"text": "a", "threshold": "low"}, 400, "CN683"),
        ({"text": "a", "threshold": True}, 400, "CN683"),
        ({"text": "a", "threshold": 1.5}, 400, "CN683"),
        (b'{"text": "a", "threshold": NaN}', 400, "CN683"),
        ({"text": "a" * 301}, 413, "CN682"),
    ],
)
def test_bad_requests(server, body, status, code):
    got, _, answer = ask(server, body)
    assert (got, code in json.loads(answer)["error"]) == (status, True)


def raw(server, head):
    """Send a request without a body; return the first line of the answer."""
    with socket.create_connection(server.server_address, timeout=60) as connection:
        connection.sendall(head.encode("ascii") + b"\r\n\r\n")
        return connection.makefile("rb").readline().decode("ascii")


def test_large_bodies_are_refused_unread(server):
    host = f"Host: 127.0.0.1:{server.server_address[1]}\r\nContent-Type: application/json"
    size = BYTES_PER_CHARACTER * 300 + 1001
    assert "413" in raw(server, f"POST /analyse HTTP/1.0\r\n{host}\r\nContent-Length: {size}")
    assert "411" in raw(server, f"POST /analyse HTTP/1.0\r\n{host}")
    assert "411" in raw(server, f"POST /analyse HTTP/1.0\r\n{host}\r\nContent-Length: -5")


def test_only_this_machine_is_served(server):
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server, path="", Host="evil.example")[0] == 403
    assert ask(server, {"text": "a"}, Host="evil.example")[0] == 403
    assert ask(server, {"text": "a"}, Origin="http://evil.example")[0] == 403
    assert ask(server, b'{"text": "a"}', **{"Content-Type": "text/plain"})[0] == 403
    assert ask(server, {"text": "a"}, Origin=server.url.rstrip("/"))[0] == 200
    assert ask(server, path="", Host=f"localhost:{server.server_address[1]}")[0] == 200
    status, _, body = ask(server, path="../../etc/passwd")
    assert (status, "CN684" in body) == (404, True)
    assert ask(server, {"text": "a"}, path="other")[0] == 404


def test_page_needs_nothing_else(server):
    status, headers, html = ask(server, path="")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for outside in ("http://", "https://", "//cdn", "@import", "url("):
        assert outside not in html
    assert "<b>" not in html.partition("<script>")[0]
    assert "demo\\u003c/script\\u003e" in html
    assert EXAMPLES["de"][:20] in html


def test_examples_of_the_pipelines_languages(folder):
    nlp = spacy.load(folder)
    nlp.meta["languages"] = ["de", "zh"]
    page = Analyser(nlp, "model").describe()
    assert [example["name"] for example in page["examples"]] == ["German", "Chinese"]
    assert page["labels"] == ["LOC", "ORG", "PER"]


def test_pipelines_of_other_components():
    nlp = spacy.blank("en")
    with pytest.raises(CrossnerError, match=r"CN680.*mine.*its components"):
        Analyser(nlp, "mine")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "LOC", "pattern": "Berlin"}])
    analyser = Analyser(nlp, "mine")
    (entity,) = analyser.analyse("in Berlin", 0.5)["spans"]
    assert entity == {"start": 3, "end": 9, "label": "LOC", "text": "Berlin", "score": None}
    assert analyser.describe()["threshold"] is None
    with DemoServer(analyser, 0) as server:
        assert b'id="threshold"' not in server.page


def test_nested_and_discontinuous_candidates():
    doc = spacy.blank("en")("left and right arm")
    doc.spans["sc"] = [doc[0:4], doc[2:4]]
    doc.spans["sc"][0].label_ = "X"
    doc.spans["sc"].attrs.update(scores=[0.5, 0.25], discontinuous=[[[0, 3], "X", 0.125]])
    found = read_entities(doc)
    assert found["ents"] == []
    assert [span["text"] for span in found["spans"]] == [
        "left and right arm",
        "right arm",
        "left … arm",
    ]
    assert found["spans"][2]["fragments"] == [[0, 4], [15, 18]]


def test_a_pipeline_that_fails_is_reported(server, monkeypatch):
    monkeypatch.setattr(server.analyser, "analyse", lambda *_: 1 / 0)
    status, _, body = ask(server, {"text": "a"})
    assert (status, "CN685" in body, "ZeroDivisionError" in body) == (500, True, True)


def test_port_in_use(server, folder):
    port = str(server.server_address[1])
    shown = CliRunner().invoke(cli.app, ["demo", str(folder), "--port", port])
    assert shown.exit_code == 1
    assert f"CN681] The demo can't listen on port {port}" in shown.output
    assert "--port 0" in shown.output


def test_requests_are_read():
    assert read_request(b'{"text": "a", "threshold": 0}') == ("a", LEAST_THRESHOLD)
    assert read_request(b'{"text": "a", "threshold": null, "more": 1}') == ("a", None)


# ---- in a real browser --------------------------------------------------------------------------


@pytest.mark.system
def test_demo_in_a_browser(server):
    with Browser() as browser:
        browser.open(server.url)
        browser.wait("document.querySelector('#status').textContent")
        set_text = "document.getElementById('text').value = {}; document.getElementById('form')"
        set_text += ".requestSubmit()"
        # characters outside of the basic plane count as one in Python, and as two in a browser
        text = f"{TEXT} 🙂 {TEXT}"
        expected = [entity["text"] for entity in analyse(server, text=text)["ents"]]
        assert expected
        browser.run(set_text.format(json.dumps(text)))
        browser.wait("document.getElementById('result').textContent.includes('🙂')")
        marks = "[...document.querySelectorAll('mark')]"
        assert browser.run(f"{marks}.map((m) => m.firstChild.textContent)") == expected
        score = browser.run(f"{marks}[0].querySelector('b').textContent.split(' ')[1]")
        assert 0.3 <= float(score) <= 1.0
        assert browser.run("document.querySelectorAll('#rows tr').length") >= len(expected)
        browser.run("document.getElementById('nested').click()")
        assert browser.run("document.querySelectorAll('#result .tag').length") >= len(expected)
        browser.run("document.getElementById('nested').click()")
        browser.send("Browser.grantPermissions", permissions=["clipboardReadWrite"])
        browser.run("document.getElementById('copy').click()")
        browser.wait("document.getElementById('copied').textContent")
        copied = json.loads(browser.run("document.getElementById('json').textContent"))
        assert [entity["text"] for entity in copied["ents"]] == expected
        browser.run(
            "const s = document.getElementById('threshold'); s.value = 0.99;"
            "s.dispatchEvent(new Event('input')); 0"
        )
        browser.wait(
            "!document.querySelector('mark') || +document.querySelector('mark b')"
            ".textContent.split(' ')[1] >= 0.99"
        )
        browser.run(set_text.format(json.dumps(HOSTILE)))
        browser.wait("document.getElementById('result').textContent.includes('onerror')")
        assert "hacked" not in browser.run("document.title")
        assert browser.run("document.querySelectorAll('#result img, #result script').length") == 0
        browser.run(set_text.format(json.dumps("a" * 301)))
        browser.wait("document.getElementById('alert').textContent.includes('CN682')")
        assert {url.partition("?")[0] for url in browser.requests if url[:5] != "data:"} == {
            server.url,
            f"{server.url}analyse",
        }


@pytest.mark.system
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_demo_is_accessible(server, dark):
    with Browser() as browser:
        for width in (1280, 390):
            browser.open(server.url, width, dark=dark)
            browser.wait("document.querySelector('#status').textContent")
            assert not browser.is_too_wide()
            assert browser.find_violations() == []

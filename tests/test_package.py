"""Wheels: what is in them, and that they work in a clean environment without a network."""

import hashlib
import json
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser

import pytest
import spacy
import srsly
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

from spacy_crossner import cli
from spacy_crossner.about import __version__
from spacy_crossner.data.languages import MULTI_LANGUAGE, get_tokenizer
from spacy_crossner.data.view import View, set_view
from spacy_crossner.errors import CrossnerError
from spacy_crossner.files import _HOST as HOST
from spacy_crossner.pipeline.segmenters import get_requirements
from spacy_crossner.pipeline.tokenizer import create_tokenizer
from spacy_crossner.ship import package as package_module
from spacy_crossner.ship.embedded import E5_SMALL, ORIGIN
from spacy_crossner.ship.package import (
    EMBEDDED_SOURCE,
    get_performance,
    open_pipeline,
    package,
)
from spacy_crossner.ship.trim import find_encoders
from spacy_crossner.ship.verify import compare, find_wheels, make_environment, spread, verify
from tests.pipelines import TRAIN_DATA, make_examples, make_nlp, scored, train

TEXTS = {"de": ["Angela Merkel war in Berlin.", "die Bank in London"], "zh": ["李明在北京大学。"]}
SOURCES = [{"name": "Some corpus", "url": "https://example.org", "license": "CC0-1.0"}]


@pytest.fixture(scope="module")
def trained(tiny_encoder, tmp_path_factory):
    """A pipeline with a training-only component, and the folder of texts."""
    folder = tmp_path_factory.mktemp("trained")
    nlp = make_nlp(
        tiny_encoder, sentence_contrast={"weight": 0.1}, token_pair_ner={"threshold": 0.1}
    )
    nlp.tokenizer = create_tokenizer("auto")(nlp)
    nlp.config["nlp"]["tokenizer"] = dict(MULTI_LANGUAGE["nlp"]["tokenizer"])
    # as `train` writes it
    nlp.config["corpora"]["train"] = {
        "@readers": "spacy-crossner.ParallelCorpus.v1",
        "path": f"{folder / 'train.spacy'},{folder / 'annotated'}",
    }
    train(nlp, make_examples(nlp), steps=40)
    nlp.to_disk(folder / "pipeline")
    docs = []
    for language, texts in TEXTS.items():
        for number, text in enumerate(texts):
            doc = spacy.blank("xx").make_doc(text)
            set_view(doc, View(group=f"{language}{number}", kind="target", lang=language))
            docs.append(doc)
    (folder / "texts").mkdir()
    DocBin(docs=docs, store_user_data=True).to_disk(folder / "texts" / "target.spacy")
    return folder


@pytest.fixture(scope="module")
def wheels(trained):
    scores = {"p": 50.0, "r": 25.0, "f": 100 / 3}
    per_type = {"LOC": {**scores}}
    result = {"lang": "de", "docs": 2, **scores, "per_type": per_type}
    srsly.write_json(trained / "scores.json", {"test-de": result})
    srsly.write_json(trained / "sources.json", SOURCES)
    shown = CliRunner().invoke(
        cli.app,
        [
            *("package", str(trained / "pipeline"), str(trained / "out"), "--languages", "de,zh"),
            *("--texts", str(trained / "texts"), "--scores", str(trained / "scores.json")),
            *("--sources", str(trained / "sources.json"), "--license", "MIT"),
            *("--version", "1.2.3"),
        ],
    )
    assert shown.exit_code == 0, shown.output
    return {path.name.split("-")[0]: path for path in (trained / "out").glob("*.whl")}


def read_member(wheel, member):
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(member).decode("utf8")


def test_wheels_are_complete(wheels):
    assert set(wheels) == {"xx_crossner_trf", "de_crossner_trf", "zh_crossner_trf"}
    wheel = wheels["de_crossner_trf"]
    assert wheel.name == "de_crossner_trf-1.2.3-py3-none-any.whl"
    info = "de_crossner_trf-1.2.3.dist-info"
    fields = Parser().parsestr(read_member(wheel, f"{info}/METADATA"))
    assert (fields["Name"], fields["Version"]) == ("de_crossner_trf", "1.2.3")
    requirements = fields.get_all("Requires-Dist")
    assert requirements[0].startswith(f"spacy-crossner>={__version__}")
    assert any(requirement.startswith("spacy-transformers") for requirement in requirements)
    assert "de_crossner_trf = de_crossner_trf" in read_member(wheel, f"{info}/entry_points.txt")
    record = [line.split(",")[0] for line in read_member(wheel, f"{info}/RECORD").splitlines()]
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        assert sorted(record) == sorted(archive.namelist())


def test_checksums_name_all_wheels(wheels):
    folder = next(iter(wheels.values())).parent
    lines = (folder / "SHA256SUMS").read_text(encoding="utf8").splitlines()
    found = dict(reversed(line.split("  ")) for line in lines)
    assert found == {
        wheel.name: hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels.values()
    }


def test_meta_and_config(wheels):
    for name, languages in (("xx_crossner_trf", ["de", "zh"]), ("de_crossner_trf", ["de"])):
        meta = json.loads(read_member(wheels[name], f"{name}/meta.json"))
        inner = f"{name}/{name}-1.2.3"
        assert meta == json.loads(read_member(wheels[name], f"{inner}/meta.json"))
        assert f"{meta['lang']}_{meta['name']}" == name
        assert meta["languages"] == languages
        assert meta["labels"]["token_pair_ner"] == ["LOC", "ORG", "PER"]
        assert meta["pipeline"] == ["transformer", "token_pair_ner"]
        assert meta["sources"] == SOURCES
        assert meta["license"] == "MIT"
        assert meta["performance"]["ents_p"] == 0.5
        assert meta["performance"]["tests"]["test-de"]["ents_per_type"]["LOC"]["r"] == 0.25
        config = read_member(wheels[name], f"{inner}/config.cfg")
        assert "sentence_contrast" not in config
        # nothing of the machine that trained it
        assert "/" not in config.replace('"@', "")
        card = read_member(wheels[name], f"{inner}/README.md")
        assert "Some corpus (https://example.org): CC0-1.0" in card
    meta = json.loads(read_member(wheels["zh_crossner_trf"], "zh_crossner_trf/meta.json"))
    assert meta["performance"] == {}


def test_licences_of_the_sources_are_the_pipelines(trained, tmp_path):
    sources = [*SOURCES, {"name": "One more", "license": "CC-BY-SA-4.0"}, *SOURCES]
    srsly.write_json(tmp_path / "sources.json", sources)
    # what a killed process leaves behind
    left = tmp_path / f".xx_crossner_trf.tmp-{HOST}-{2**22 + 1}-0123abcd"
    (left / "xx_crossner_trf").mkdir(parents=True)
    wheel = package(
        trained / "pipeline", tmp_path, ["de"], sources=tmp_path / "sources.json", trim=False
    )[0].path
    meta = json.loads(read_member(wheel, "xx_crossner_trf/meta.json"))
    assert meta["license"] == "CC0-1.0 AND CC-BY-SA-4.0"
    assert not list(tmp_path.glob(".*"))


def test_what_may_be_chosen_stands_in_brackets(trained, tmp_path):
    choice = {"name": "One more", "license": "MIT OR Apache-2.0"}
    for sources, licence in (
        ([choice], "MIT OR Apache-2.0"),
        ([*SOURCES, choice], "CC0-1.0 AND (MIT OR Apache-2.0)"),
    ):
        srsly.write_json(tmp_path / "sources.json", sources)
        options = {"sources": tmp_path / "sources.json", "trim": False, "version": "1.0-rc1"}
        wheel = package(trained / "pipeline", tmp_path, ["xx"], **options)[0].path
        assert wheel.name == "xx_crossner_trf-1.0rc1-py3-none-any.whl"
        assert json.loads(read_member(wheel, "xx_crossner_trf/meta.json"))["license"] == licence


def test_the_embedded_encoder_brings_its_notices(trained, wheels, tmp_path):
    notices = "{}.dist-info/licenses/THIRD_PARTY_NOTICES.md"
    with zipfile.ZipFile(wheels["de_crossner_trf"]) as archive:
        assert notices.format("de_crossner_trf-1.2.3") not in archive.namelist()
    nlp = spacy.load(trained / "pipeline")
    (shim,) = find_encoders(nlp)
    setattr(shim._hfmodel.transformer.config, ORIGIN, E5_SMALL)
    nlp.to_disk(tmp_path / "pipeline")
    srsly.write_json(tmp_path / "sources.json", SOURCES)
    srsly.write_json(tmp_path / "both.json", [EMBEDDED_SOURCE, *SOURCES])
    for sources, licence in (
        (None, ""),
        (tmp_path / "sources.json", "MIT AND CC0-1.0"),
        (tmp_path / "both.json", "MIT AND CC0-1.0"),
    ):
        wheel = package(
            tmp_path / "pipeline", tmp_path, ["de"], [trained / "texts"], sources=sources
        )[1].path
        info = f"de_crossner_trf-{__version__}"
        assert "Intfloat contributors" in read_member(wheel, notices.format(info))
        assert notices.format(info) in read_member(wheel, f"{info}.dist-info/RECORD")
        meta = json.loads(read_member(wheel, "de_crossner_trf/meta.json"))
        assert meta["license"] == licence
        assert meta["sources"] == [EMBEDDED_SOURCE, *(SOURCES if sources else [])]


def test_an_environment_lends_packages_where_python_has_no_scheme_for_it(tmp_path, monkeypatch):
    names = tuple(name for name in sysconfig.get_scheme_names() if name != "venv")
    monkeypatch.setattr(sysconfig, "get_scheme_names", lambda: names)
    python = make_environment(tmp_path / "venv", lend=True)
    subprocess.run([python, "-c", "import spacy_crossner"], check=True)


def test_tokenizers_of_languages(trained, tmp_path):
    text = "z.B. die Bank, 北京大学。"
    for language in ("de", "zh", "xx"):
        nlp = open_pipeline(trained / "pipeline", language)
        assert nlp.lang == nlp.meta["lang"] == language
        own = spacy.load(trained / "pipeline") if language == "xx" else get_tokenizer(language)
        assert [t.text for t in nlp.make_doc(text)] == [t.text for t in own.make_doc(text)]
        # the config says so too, or the wheel would ask for the segmenters of all languages
        nlp.to_disk(tmp_path / language)
        again = spacy.load(tmp_path / language)
        assert type(again.tokenizer) is type(own.tokenizer)
        assert [t.text for t in again.make_doc(text)] == [t.text for t in own.make_doc(text)]
        if language == "zh":
            assert set(again.tokenizer.segmenters) <= {"zh"}


def test_no_path_of_the_training_is_in_a_wheel(trained, wheels):
    assert str(trained) in (trained / "pipeline" / "config.cfg").read_text(encoding="utf8")
    for name, wheel in wheels.items():
        with zipfile.ZipFile(wheel) as archive:
            (config,) = [one for one in archive.namelist() if one.endswith("config.cfg")]
            assert str(trained) not in archive.read(config).decode("utf8"), name


def test_wheels_require_their_segmenters(trained, wheels, tmp_path):
    names = spacy.load(trained / "pipeline").tokenizer.segmenters
    all_packages = set(get_requirements(names))

    def read_requirements(wheel):
        meta = json.loads(read_member(wheel, f"{wheel.name.split('-')[0]}/meta.json"))
        return set(meta["requirements"])

    assert all_packages <= read_requirements(wheels["xx_crossner_trf"])
    assert not all_packages & read_requirements(wheels["de_crossner_trf"])
    found = all_packages & read_requirements(wheels["zh_crossner_trf"])
    assert found == set(get_requirements({"zh": names["zh"]} if "zh" in names else {}))
    nlp = open_pipeline(trained / "pipeline", "yue")
    assert nlp.tokenizer.segmenters == {"zh": names["zh"]} if "zh" in names else {}


def test_a_wheel_that_does_not_require_its_segmenters_is_refused(trained, tmp_path, monkeypatch):
    if "zh" not in spacy.load(trained / "pipeline").tokenizer.segmenters:
        pytest.skip("no segmenter for Chinese is installed")
    monkeypatch.setattr("spacy_crossner.ship.package.segmenter_requirements", lambda names: [])
    wheels = package(trained / "pipeline", tmp_path, ["zh"], trim=False, version="1.2.3")
    with pytest.raises(CrossnerError, match=r"CN721.*zh_crossner_trf"):
        verify([wheels[1].path], trained / "pipeline", [trained / "texts"])


def test_a_language_that_spacy_does_not_know(trained, tmp_path):
    wheels = package(trained / "pipeline", tmp_path, ["sw"], trim=False, version="1.2.3")
    assert wheels[1].path.name == "sw_crossner_trf-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheels[1].path) as archive:
        archive.extractall(tmp_path)
    nlp = spacy.load(tmp_path / "sw_crossner_trf" / "sw_crossner_trf-1.2.3")
    assert (nlp.lang, nlp.meta["lang"]) == ("xx", "sw")
    assert [t.text for t in nlp("Rais wa Kenya, 2024.")][:4] == ["Rais", "wa", "Kenya", ","]


def test_same_pipeline_same_bytes(trained, wheels, tmp_path):
    options = {"version": "1.2.3", "license_name": "MIT"}
    options |= {"scores": trained / "scores.json", "sources": trained / "sources.json"}
    again = package(trained / "pipeline", tmp_path, ["de"], [trained / "texts"], **options)
    assert again[1].path.read_bytes() == wheels["de_crossner_trf"].read_bytes()


def test_verify(trained, wheels, monkeypatch):
    """In a fresh process, from the wheel alone; nothing may be lent by a PYTHONPATH."""
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    shown = CliRunner().invoke(
        cli.app,
        [
            *("verify", str(wheels["de_crossner_trf"])),
            *("--against", str(trained / "pipeline"), "--texts", str(trained / "texts")),
        ],
    )
    assert shown.exit_code == 0, shown.output
    row = next(line.split() for line in shown.output.splitlines() if line.startswith("de_"))
    assert (row[1], row[3]) == ("5", "all"), shown.output


def test_wheels_are_tried_on_their_own_languages(wheels):
    texts = {"de": ["ein", "zwei"], "fr": ["un"], None: ["?"]}
    assert spread(texts, wheels["de_crossner_trf"], 0)[:3] == ["ein", "zwei", "?"]
    assert spread(texts, wheels["de_crossner_trf"], 1)[:2] == ["ein", "?"]
    assert "un" not in spread(texts, wheels["xx_crossner_trf"], 0)
    many = {"de": [str(number) for number in range(7)]}
    assert spread(many, wheels["de_crossner_trf"], 4)[:-3] == ["0", "1", "3", "5"]


def test_the_wheels_of_a_folder_are_those_of_its_checksums(tmp_path):
    names = ["de_a-1-py3-none-any.whl", "xx_a-1-py3-none-any.whl", "xx_a-2-py3-none-any.whl"]
    for name in names:
        (tmp_path / name).touch()
    assert find_wheels([tmp_path]) == [tmp_path / name for name in names]
    (tmp_path / "SHA256SUMS").write_text(f"abc  {names[2]}\n", encoding="utf8")
    assert find_wheels([tmp_path]) == [tmp_path / names[2]]
    assert find_wheels([tmp_path / names[0]]) == [tmp_path / names[0]]
    (tmp_path / names[2]).unlink()
    with pytest.raises(CrossnerError, match="CN724"):
        find_wheels([tmp_path])


def test_verify_notices_differences(trained, wheels):
    nlp = spacy.load(trained / "pipeline")
    text = TRAIN_DATA[0][0]
    doc = nlp(text)
    found = {
        "ents": [[ent.start, ent.end, ent.label_] for ent in doc.ents],
        "spans": {
            "sc": [
                [span.start, span.end, span.label_, float(score)]
                for span, score in zip(
                    doc.spans["sc"], doc.spans["sc"].attrs["scores"], strict=True
                )
            ]
        },
    }
    assert scored(doc)
    assert compare(found, doc) is None
    assert "entities" in compare({**found, "ents": []}, doc)
    assert "score" in compare({**found, "spans": {}}, doc)
    other = [[*span[:3], span[3] + 0.01] for span in found["spans"]["sc"]]
    assert "score" in compare({**found, "spans": {"sc": other}}, doc)
    empty = Doc(nlp.vocab, words=["a"])
    empty.spans["sc"] = []
    surplus = {"ents": [], "spans": {"sc": [[0, 1, "LOC", 0.5]]}}
    assert "candidates" in compare(surplus, empty)


def test_probe_cuts_the_network():
    code = (
        "import sys, socket; from spacy_crossner.ship.probe import cut_network; "
        "sys.addaudithook(cut_network); socket.create_connection(('127.0.0.1', 9))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "the network is cut off" in result.stderr


def test_the_wheel_of_all_languages_keeps_the_vocabulary(trained, wheels, tmp_path):
    def pieces(wheel):
        name = wheel.name.split("-")[0]
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path / name)
        nlp = spacy.load(tmp_path / name / name / f"{name}-1.2.3")
        return find_encoders(nlp)[0]._hfmodel.tokenizer.vocab_size, nlp.meta["trimmed_to"]

    whole = find_encoders(spacy.load(trained / "pipeline"))[0]._hfmodel.tokenizer.vocab_size
    assert pieces(wheels["xx_crossner_trf"]) == (whole, None)
    assert pieces(wheels["de_crossner_trf"])[1] == ["LATIN"]
    options = {"version": "1.2.3", "trim": True}
    found = package(trained / "pipeline", tmp_path, ["de"], [trained / "texts"], **options)
    assert [wheel.trimmed is not None for wheel in found] == [True, True]


def test_the_wheel_of_all_languages_is_written_once(trained, tmp_path):
    wheels = package(trained / "pipeline", tmp_path, ["xx", "de", "de"], trim=False)
    assert [(wheel.path.name[:3], wheel.languages) for wheel in wheels] == [
        ("xx_", ("xx", "de", "de")),
        ("de_", ("de",)),
    ]


def test_errors(trained, tmp_path, monkeypatch):
    pipeline, texts = trained / "pipeline", [trained / "texts"]
    with pytest.raises(CrossnerError, match="CN710"):
        package(tmp_path, tmp_path, ["de"])
    with pytest.raises(CrossnerError, match=r"CN711.*'qq'"):
        package(pipeline, tmp_path, ["qq"])
    for name, languages in (("a-b", ["de"]), ("müller", ["de"]), ("a", [])):
        with pytest.raises(CrossnerError, match="CN712"):
            package(pipeline, tmp_path, languages, name=name)
    with pytest.raises(CrossnerError, match=r"CN713.*'fr'.*de, zh"):
        package(pipeline, tmp_path, ["fr"], texts)
    (tmp_path / "scores.json").write_text("[", encoding="utf8")
    for scores in (tmp_path / "scores.json", tmp_path / "none.json", trained / "sources.json"):
        if scores.name == "sources.json":
            srsly.write_json(scores, SOURCES)
        with pytest.raises(CrossnerError, match="CN714"):
            package(pipeline, tmp_path, ["de"], texts, scores=scores)
    for sources in (["CC0"], [1]):
        srsly.write_json(tmp_path / "sources.json", sources)
        with pytest.raises(CrossnerError, match=r"CN714.*sources\.json.*--sources"):
            package(pipeline, tmp_path, ["de"], texts, sources=tmp_path / "sources.json")
    for scores in ({"test": {"f": 1.0}}, {"test": 1.0}):
        srsly.write_json(tmp_path / "scores.json", scores)
        with pytest.raises(CrossnerError, match=r"CN714.*scores\.json.*--scores"):
            package(pipeline, tmp_path, ["de"], texts, scores=tmp_path / "scores.json")
    for version in ("latest", "1.0-x", ""):
        with pytest.raises(CrossnerError, match=f"CN716.*'{version}'.*--version"):
            package(pipeline, tmp_path, ["de"], texts, version=version)
    with pytest.raises(CrossnerError, match="CN720"):
        verify([tmp_path / "none.whl"], pipeline)
    (tmp_path / "a_b-1-py3-none-any.whl").write_text("no zip", encoding="utf8")
    with pytest.raises(CrossnerError, match="CN721"):
        verify([tmp_path / "a_b-1-py3-none-any.whl"], pipeline)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(package_module, "write_wheel", full)
    with pytest.raises(CrossnerError, match="CN715"):
        package(pipeline, tmp_path / "out", ["de"], texts)
    assert not list((tmp_path / "out").iterdir())


def test_performance_is_a_mean_over_tests():
    def result(lang, f):
        return {"lang": lang, "docs": 1, "p": f, "r": f, "f": f, "per_type": {}}

    scores = {"a": result("de", 40.0), "b": result("de", 60.0), "c": result("fr", 0.0)}
    assert get_performance(scores, ["de"])["ents_f"] == pytest.approx(0.5)
    assert set(get_performance(scores, ["de", "fr"])["tests"]) == {"a", "b", "c"}
    assert get_performance(scores, ["nl"]) == {}

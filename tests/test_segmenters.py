"""Word segmenters: their words, what a saved pipeline keeps of them, and what they never touch."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
import srsly
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.util import compile_infix_regex

from spacy_crossner.data.languages import LANGUAGES, find_tokenizer
from spacy_crossner.data.markup import read_marked
from spacy_crossner.errors import CrossnerError
from spacy_crossner.pipeline import segmenters, tokenizer
from spacy_crossner.pipeline.segmenters import (
    SEGMENTERS,
    get_requirements,
    is_installed,
    load_segmenter,
    resolve_segmenters,
)
from spacy_crossner.pipeline.tokenizer import MULTI_LANGUAGE_INFIXES

SAMPLE = Path(__file__).parents[1] / "assets" / "sample"
NAME = "spacy-crossner.tokenizer.v2"
ALL = {
    "zh": "jieba+opencc",
    "ja": "sudachi",
    "th": "pythainlp",
    "lo": "icu",
    "km": "icu",
    "my": "icu",
}


def needs(*names: str) -> pytest.MarkDecorator:
    missing = [name for name in names if not is_installed(name)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


needs_all = needs(*ALL.values())


def make_nlp(setting: object = "auto", lang: str = "xx") -> Language:
    config = {"nlp": {"tokenizer": {"@tokenizers": NAME, "segmenters": setting}}}
    return spacy.blank(lang, config=config)


def words(nlp: Language, text: str) -> list[str]:
    return [token.text for token in nlp.make_doc(text)]


@pytest.fixture(scope="module")
def nlp() -> Language:
    return make_nlp()


EXAMPLES = [
    ("我在北京大学读书。", "我 在 北京大学 读书 。"),
    # traditional characters are converted for the segmenter, not in the text
    ("我在臺灣大學讀書", "我 在 臺灣大學 讀書"),
    ("我们用iPhone，iPad和Mac。2019年", "我们 用 iPhone ， iPad 和 Mac 。 2019 年"),
    ("请看https://a.com/x?y=1谢谢", "请 看 https://a.com/x?y=1 谢谢"),
    ("城市😀中国", "城市 😀 中国"),
    ("東京大学で勉強する。", "東京 大学 で 勉強 する 。"),
    ("ニューヨークのらーめん", "ニューヨーク の らーめん"),
    ("マイケル・ジャクソンは行った", "マイケル ・ ジャクソン は 行っ た"),
    ("葛\U000e0100城市に行く", "葛\U000e0100 城市 に 行く"),
    ("ประเทศไทยเป็นประเทศ 2019", "ประเทศ ไทย เป็น ประเทศ 2019"),
    ("ປະເທດລາວ", "ປະເທດ ລາວ"),
    ("ប្រទេសកម្ពុជា។", "ប្រទេស កម្ពុជា ។"),
    ("မြန်မာနိုင်ငံသည်", "မြန်မာနိုင်ငံ သည်"),
    ("北京 Berlin", "北京 Berlin"),
]


@needs_all
@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_examples(nlp: Language, text: str, expected: str) -> None:
    assert words(nlp, text) == expected.split(" ")
    assert nlp.make_doc(text).text == text
    explained = [word for _, word in nlp.tokenizer.explain(text)]
    assert explained == words(nlp, text)


@needs("jieba+opencc", "sudachi")
def test_han_near_kana_is_japanese(nlp: Language) -> None:
    japanese, chinese = "東京都知事", "他是东京都知事"
    in_japanese = words(nlp, f"{japanese}。小池さんです。")
    assert in_japanese[:3] == ["東京", "都", "知事"]
    # each line goes by its own Kana, one without any by the whole text
    lines = words(nlp, f"小池さんです。\n{japanese}")
    assert lines[-3:] == ["東京", "都", "知事"]
    quoted = words(nlp, f"{chinese}，他在电视台工作了很多年，写过很多关于日本的ソニー公司的文章")
    assert quoted[: len(words(nlp, chinese))] == words(nlp, chinese)
    assert "ソニー" in quoted
    # all Han text of a Japanese pipeline is Japanese
    config = {"@tokenizers": NAME, "segmenters": ALL}
    blank = spacy.blank("xx", config={"nlp": {"tokenizer": config}})
    blank.tokenizer.lang = "ja"
    assert words(blank, japanese) == ["東京", "都", "知事"]


PIECES = "北京大学々〇𠮷㐀あがんっゃーアニュヨッｱﾞ\u3099กทยเแไำาะ้ິ์ๆลເໄາ້ຳកភន្ំោុကမန္ျြေါ့်း"
OTHERS = "aBé 1２ \t\n\u3000\xa0.,;:!?'\"-()/@%、。，：（）「」・…한😀👩\u200d\ufe0f\u0301\u200b"
TEXTS = st.lists(
    st.sampled_from([*PIECES, *OTHERS, "北京", "東京は", "ประเทศไทย", "https://a.com"])
)


@needs_all
@settings(deadline=None)
@given(TEXTS.map("".join))
def test_any_text_is_kept(text: str) -> None:
    nlp, units = make_words(), make_units()
    doc = nlp.make_doc(text)
    assert doc.text == text
    assert words(nlp, text) == [token.text for token in doc]
    # a word is made of whole units
    starts = {token.idx for token in units.make_doc(text)}
    assert {token.idx for token in doc} <= starts


_MADE: dict[str, Language] = {}


def make_words() -> Language:
    return _MADE.setdefault("words", make_nlp())


def make_units() -> Language:
    return _MADE.setdefault("units", make_nlp(None))


@pytest.mark.parametrize("lang", ["de", "en", "es", "fr", "nl", "pt"])
def test_languages_with_spaces_keep_their_tokens(nlp: Language, lang: str) -> None:
    plain, whole = spacy.blank("xx"), spacy.blank("xx")
    whole.tokenizer.infix_finditer = compile_infix_regex(MULTI_LANGUAGE_INFIXES).finditer
    units = spacy.blank(
        "xx", config={"nlp": {"tokenizer": {"@tokenizers": "spacy-crossner.tokenizer.v1"}}}
    )
    for path in sorted((SAMPLE / lang).glob("*.txt")):
        for sentence in read_marked(path):
            for one, other in ((plain, units), (whole, nlp)):
                found, expected = (
                    [(t.text_with_ws, t.norm_) for t in each.make_doc(sentence.text)]
                    for each in (one, other)
                )
                assert found == expected


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "Per-Erik talar om EU:s u-land.": ["Per-Erik", "talar", "om", "EU:s", "u-land", "."],
        "L'Agence de l’Île-de-France": ["L'", "Agence", "de", "l’", "Île-de-France"],
        "jusqu'à ce qu'il s'appelle Emma": [
            "jusqu'",
            "à",
            "ce",
            "qu'",
            "il",
            "s'",
            "appelle",
            "Emma",
        ],
        "un'ora dell'Umbria; c'è": ["un'", "ora", "dell'", "Umbria", ";", "c'", "è"],
        # neither French, Italian nor Catalan
        "O'Brien aujourd'hui rock'n'roll": ["O'Brien", "aujourd'hui", "rock'n'roll"],
        "п'ять ng'ombe c'hoar O'zbekiston": ["п'ять", "ng'ombe", "c'hoar", "O'zbekiston"],
        "mikael-san:Hej ja/nej": ["mikael-san", ":", "Hej", "ja", "/", "nej"],
        "Paris–Dakar, 10-20": ["Paris", "–", "Dakar", ",", "10", "-", "20"],
        "end.Then a,b x=y": ["end", ".", "Then", "a", ",", "b", "x", "=", "y"],
    }.items(),
)
def test_words_with_hyphens_and_colons(text: str, words: list[str]) -> None:
    nlp = make_nlp()
    assert [token.text for token in nlp.make_doc(text)] == words
    copied = make_nlp().from_bytes(nlp.to_bytes())
    assert [token.text for token in copied.make_doc(text)] == words
    english = spacy.blank(
        "en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy-crossner.tokenizer.v2"}}}
    )
    expected = [token.text for token in spacy.blank("en").make_doc(text)]
    assert [token.text for token in english.make_doc(text)] == expected


def test_without_segmenters_as_version_one() -> None:
    config = {"nlp": {"tokenizer": {"@tokenizers": "spacy-crossner.tokenizer.v1"}}}
    one, two = spacy.blank("xx", config=config), make_nlp(None)
    for text, _ in EXAMPLES:
        assert words(one, text) == words(two, text)
    assert one.tokenizer.segmenters == two.tokenizer.segmenters == {}
    two.tokenizer.infix_finditer = one.tokenizer.infix_finditer
    assert one.tokenizer.to_bytes() == two.tokenizer.to_bytes()


@needs("jieba+opencc")
def test_scripts_without_a_segmenter_are_units() -> None:
    some = make_nlp({"zh": "jieba+opencc"})
    assert words(some, "我在北京大学读书") == ["我", "在", "北京大学", "读书"]
    assert words(some, "東京に行く") == ["東", "京", "に", "行", "く"]


@needs("sudachi")
def test_long_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    some = make_nlp({"ja": "sudachi"})
    text = "東京に行く" * 4000
    assert words(some, text) == ["東京", "に", "行く"] * 4000
    monkeypatch.setattr(tokenizer, "MAX_RUN", 1)
    assert "".join(words(some, "東京に行くﾞﾞﾞ")) == "東京に行くﾞﾞﾞ"


@needs_all
def test_round_trips(tmp_path: Path) -> None:
    one = make_nlp()
    one.to_disk(tmp_path / "pipeline")
    code = (
        "import sys, spacy, srsly; nlp = spacy.load(sys.argv[1]);"
        "texts = srsly.json_loads(sys.stdin.read());"
        "print(srsly.json_dumps([[t.text for t in nlp.make_doc(x)] for x in texts]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pipeline")],
        input=srsly.json_dumps([text for text, _ in EXAMPLES]),
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [text.split(" ") for _, text in EXAMPLES]
    assert srsly.json_loads(run.stdout) == expected
    pickled = pickle.loads(pickle.dumps(one.tokenizer))
    from_bytes = make_nlp(None)
    from_bytes.from_bytes(one.to_bytes())
    for other in (pickled, from_bytes.tokenizer):
        assert other.segmenters == ALL
        assert [[t.text for t in other(text)] for text, _ in EXAMPLES] == expected
        data = other.to_bytes(exclude=["vocab"])
        assert data == one.tokenizer.to_bytes(exclude=["vocab"])
    docs = one.pipe([text for text, _ in EXAMPLES], n_process=2, batch_size=3)
    assert [[t.text for t in doc] for doc in docs] == expected


@needs_all
def test_initialize_writes_what_auto_stands_for(tmp_path: Path) -> None:
    one = make_nlp()
    one.initialize()
    assert one.config["nlp"]["tokenizer"] == {"@tokenizers": NAME, "segmenters": ALL}
    one.to_disk(tmp_path)
    assert spacy.load(tmp_path).tokenizer.segmenters == ALL


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    found = segmenters.is_installed
    monkeypatch.setattr(segmenters, "is_installed", lambda name: name not in names and found(name))


@needs_all
def test_auto_takes_the_best_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_segmenters("auto") == ALL
    hide(monkeypatch, "jieba+opencc", "sudachi")
    assert resolve_segmenters("auto") == {**ALL, "zh": "icu", "ja": "icu"}
    hide(monkeypatch, *SEGMENTERS)
    assert resolve_segmenters("auto") == {}


@needs_all
@pytest.mark.parametrize("initialize", [False, True])
def test_a_saved_pipeline_never_changes_its_tokens(
    initialize: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make_nlp()
    if initialize:
        one.initialize()
    one.to_disk(tmp_path / "with")
    with monkeypatch.context() as context:
        hide(context, "jieba+opencc", "sudachi")
        with pytest.raises(CrossnerError) as caught:
            spacy.load(tmp_path / "with")
        message = str(caught.value)
        assert message.startswith("[CN080]")
        assert "sudachi (ja), jieba+opencc (zh)" in message
        assert message.endswith(
            'python -m pip install "jieba>=0.42.1" "OpenCC>=1.1.9" "SudachiDict-small>=20240109" '
            '"SudachiPy>=0.6.8"'
        )
        hide(context, *SEGMENTERS)
        without = make_nlp()
        without.to_disk(tmp_path / "without")
    # what was not there then is not used now
    assert spacy.load(tmp_path / "without").tokenizer.segmenters == {}


@needs("sudachi")
def test_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    one = make_nlp({"ja": "sudachi"})
    data = one.tokenizer.to_bytes()
    monkeypatch.setattr(tokenizer, "get_versions", lambda _: {"SudachiDict-small": "19990101"})
    with pytest.warns(UserWarning, match=r"(?s)CN084.*SudachiDict-small==\d{8}"):
        one.tokenizer.from_bytes(data)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("jieba", r"CN081.*'jieba'"),
        ({"de": "jieba"}, r"CN082.*'de'.*ja, km, lo, my, th, zh"),
        ({"ja": "jieba"}, r"CN083.*'jieba' for 'ja'.*sudachi, icu"),
    ],
)
def test_mistakes(setting: object, message: str) -> None:
    with pytest.raises(CrossnerError, match=message):
        make_nlp(setting)


def test_every_language_names_segmenters_that_can_do_it() -> None:
    for code, language in LANGUAGES.items():
        for name in language.segmenters:
            assert code in SEGMENTERS[name].languages
    assert get_requirements({"zh": "jieba+opencc", "yue": "jieba"}) == [
        "jieba>=0.42.1",
        "OpenCC>=1.1.9",
    ]


@needs("icu")
@pytest.mark.parametrize("language", SEGMENTERS["icu"].languages)
def test_icu_covers_the_text(language: str) -> None:
    text = {"zh": "我在北京", "ja": "東京で", "th": "ประเทศไทย"}.get(language, "မြန်မာ")
    ends = load_segmenter("icu", language)(text)
    assert ends[-1] == len(text)


def test_english_text_loads_no_segmenter() -> None:
    code = (
        "import sys, spacy\n"
        "from spacy_crossner.data.languages import find_tokenizer\n"
        "find_tokenizer('xx')('An English text, with Ünïcode – and 1,000 numbers.')\n"
        "print([m for m in ('jieba', 'opencc', 'sudachipy', 'pythainlp', 'icu4py')"
        " if sys.modules.get(m)])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr


@pytest.mark.parametrize("language", ["ja", "sw", "th", "yo", "zh"])
def test_readers_use_the_tokenizer_of_pipelines(nlp: Language, language: str) -> None:
    text = "Habari za 北京大学? 東京大学で ประเทศไทย"
    found = find_tokenizer(language)(text)
    if language != "yo":  # spaCy has rules for it
        assert [t.text for t in found] == words(nlp, text)
    assert found.text == text

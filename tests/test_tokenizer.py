import pickle
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import regex
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokenizer import Tokenizer

from spacy_crossner.errors import CrossnerError
from spacy_crossner.pipeline import tokenizer as tokenizer_module
from spacy_crossner.pipeline.tokenizer import SCRIPTS, ScriptTokenizer

NAME = "spacy-crossner.tokenizer.v1"
CONFIG = {"nlp": {"tokenizer": {"@tokenizers": NAME}}}
EXAMPLES = [
    ("我在北京大学。", "我 在 北 京 大 学 。"),
    ("我用iPhone，iPad和Mac。2019年", "我 用 iPhone ， iPad 和 Mac 。 2019 年"),
    ("价格是5km，15，001人", "价 格 是 5 km ， 15，001 人"),
    ("（《人民日报》）“你好”…", "（ 《 人 民 日 报 》 ） “ 你 好 ” …"),
    ("请看https://a.com/x?y=1谢谢", "请 看 https://a.com/x?y=1 谢 谢"),
    ("写信me@example.org。", "写 信 me@example.org 。"),
    ("中don't中 U.S.中", "中 don't 中 U.S. 中"),
    ("城市😀中", "城 市 😀 中"),
    ("葛\U000e0100城𠮷野", "葛\U000e0100 城 𠮷 野"),
    ("迈克尔·杰克逊", "迈 克 尔 · 杰 克 逊"),
    ("マイケル・ジャクソンは行った", "マ イ ケ ル ・ ジャ ク ソ ン は 行 っ た"),
    ("ニューヨークのらーめん", "ニュー ヨー ク の らー め ん"),
    ("ﾎﾝﾀﾞとﾆｭｰﾖｰｸ", "ﾎ ﾝ ﾀﾞ と ﾆｭｰ ﾖｰ ｸ"),
    ("か\u3099く", "か\u3099 く"),
    ("ー一", "ー 一"),
    ("ประเทศไทย", "ป ระ เท ศ ไท ย"),
    ("น้ำที่เมือง", "น้ำ ที่ เมื อ ง"),
    ("ปี๒๕๖๒ ฿50", "ปี ๒๕๖๒ ฿ 50"),
    ("ພາສາລາວ", "ພາ ສາ ລາ ວ"),
    ("ភ្នំពេញ១២៣។", "ភ្នំ ពេ ញ ១២៣ ។"),
    ("မန္တလေးမြို့၊ ၁၂", "မ န္တ လေး မြို့ ၊ ၁၂"),
    ("北京 Berlin", "北 京 Berlin"),
]
# A few hundred characters of each kind would only make examples rarer in which kinds meet.
HAN = "北京大学々〇𠮷㐀"
KANA = "あがんっゃーアニュヨッーｱﾞｭｰ\u3099"
THAI_LAO = "กทยเแไำาะ้ิ์ๆຂລເໄາ້ິຳ"
KHMER = "កភន្ំោុ់"
MYANMAR = "ကမန္ျြေါ့်း"
SCRIPT_CHARACTERS = HAN + KANA + THAI_LAO + KHMER + MYANMAR
OTHER_CHARACTERS = (
    "aBéß 1２९ \t\n\u3000\xa0.,;:!?'\"-()/@#%+、。，：（）「」・…—한국кот😀👩\u200d\ufe0f\u0301"
)
OTHER_WORDS = ["https://a.com/b", "me@x.org", "don't", ":)", "U.S.", "10km", "\xa0", "a,b", "x - y"]

mixed_texts = st.lists(st.sampled_from([*SCRIPT_CHARACTERS, *OTHER_CHARACTERS, *OTHER_WORDS])).map(
    "".join
)
one_script_texts = st.sampled_from([HAN, KANA, THAI_LAO, KHMER, MYANMAR]).flatmap(
    lambda characters: st.text(characters + "aB1 ,。😀")
)
other_texts = st.one_of(
    st.lists(st.sampled_from([*OTHER_CHARACTERS, *OTHER_WORDS])).map("".join), st.text()
).filter(lambda text: not SCRIPTS.search(text))


def make_nlp() -> Language:
    return spacy.blank("xx", config=CONFIG)


NLP = make_nlp()
DEFAULT = spacy.blank("xx")


def words(nlp: Language, text: str) -> list[str]:
    return [token.text for token in nlp.make_doc(text)]


def test_registered() -> None:
    tokenizer = NLP.tokenizer
    assert isinstance(tokenizer, ScriptTokenizer)
    assert isinstance(tokenizer, Tokenizer)
    assert NLP.config["nlp"]["tokenizer"]["@tokenizers"] == NAME


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_examples(text: str, expected: str) -> None:
    assert words(NLP, text) == expected.split(" ")


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "中", " 中", "中 ", "  中\n 国  a 中\u3000b ", "a\xa0中"]
)
def test_whitespace_as_in_spacy(text: str) -> None:
    doc = NLP.make_doc(text)
    assert doc.text == text
    spaced = DEFAULT.make_doc(text.replace("中", "x").replace("国", "x"))
    assert [len(token) for token in doc] == [len(token) for token in spaced]
    assert [token.whitespace_ for token in doc] == [token.whitespace_ for token in spaced]
    assert [token.norm for token in doc if token.is_space] == [
        token.norm for token in spaced if token.is_space
    ]


@given(mixed_texts)
def test_text_is_kept(text: str) -> None:
    doc = NLP.make_doc(text)
    assert doc.text == text
    assert [text[token.idx : token.idx + len(token)] for token in doc] == [t.text for t in doc]
    assert words(NLP, text) == [token.text for token in doc]


@given(st.text())
def test_any_text_is_kept(text: str) -> None:
    assert NLP.make_doc(text).text == text


@given(mixed_texts)
def test_shape_of_units(text: str) -> None:
    for word in words(NLP, text):
        if SCRIPTS.search(word):
            assert SCRIPTS.match(word)
            bases = [char for char in word if not is_attached(char)]
            leading = word[0] in "เแไເໄ" and len(bases) > 1
            stacked = word.count("\u1039") + word.count("\u17d2")
            assert len(bases) <= 1 + leading + stacked


def is_attached(char: str) -> bool:
    return unicodedata.category(char)[0] == "M" or char in "ะาำາຳゃャュョｭーｰﾞ\u200d"


@given(st.text(HAN + "Aa1。", min_size=1))
def test_one_token_for_each_han_character(text: str) -> None:
    singles = [word for word in words(NLP, text) if word in HAN]
    assert singles == [char for char in text if char in HAN]


@given(one_script_texts)
def test_no_character_of_a_script_is_torn_apart(text: str) -> None:
    starts = {token.idx for token in NLP.make_doc(text)}
    for cluster in regex.finditer(r"\X", text):
        if SCRIPTS.match(cluster.group()) and cluster.group()[0].isalpha():
            assert not starts & set(range(cluster.start() + 1, cluster.end()))


@given(other_texts)
def test_other_text_as_in_spacy(text: str) -> None:
    ours, theirs = NLP.make_doc(text), DEFAULT.make_doc(text)
    assert [t.text_with_ws for t in ours] == [t.text_with_ws for t in theirs]
    assert [t.norm_ for t in ours] == [t.norm_ for t in theirs]


@pytest.mark.parametrize("text", [text for text, _ in EXAMPLES])
def test_explain_agrees(text: str) -> None:
    explained = [word for _, word in NLP.tokenizer.explain(text)]
    assert explained == [token.text for token in NLP.make_doc(text) if not token.is_space]


def test_explain_names_units() -> None:
    assert NLP.tokenizer.explain("在(a，") == [
        ("UNIT", "在"),
        ("PREFIX", "("),
        ("TOKEN", "a"),
        ("UNIT", "，"),
    ]


def test_long_text_in_linear_time() -> None:
    text = "我在北京。abc " * 20000
    doc = NLP.make_doc(text)
    assert len(doc) == 6 * 20000
    assert doc.text == text


AFFIXES = [
    "'s",
    "(",
    ")",
    '"',
    ".",
    "...",
    "$",
    "10km",
    "€",
    "-",
    "a",
    "ab",
    "😀",
    "“",
    "%",
    " ",
    "\n",
]


@settings(deadline=None)
@given(st.lists(st.sampled_from([*AFFIXES, "." * 20, "北京。"]), max_size=40).map("".join))
def test_long_runs_of_affixes_have_the_same_tokens(text: str) -> None:
    nlp, plain = make_nlp(), make_nlp()
    nlp.tokenizer.rules = plain.tokenizer.rules = {}  # special cases are not looked for in a run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer_module, "MAX_STRETCH", 8)
        patch.setattr(tokenizer_module, "LONG_STRETCH", re.compile(r"\S{9,}"))
        patch.setattr(tokenizer_module, "MANY_AFFIXES", 0)
        patch.setattr(tokenizer_module, "WINDOW", 10)
        doc = nlp.make_doc(text)
        explained = [word for _, word in nlp.tokenizer.explain(text)]
    other = plain.make_doc(text)
    assert doc.text == text
    assert [t.text_with_ws for t in doc] == [t.text_with_ws for t in other]
    assert explained == [token.text for token in doc if not token.is_space]


@pytest.mark.parametrize("unit", ["'s", "(", "...(", "$(", "😀", ")'s", "“"])
def test_runs_of_affixes_are_split_in_linear_time(unit: str) -> None:
    searched = Counter()

    def count(search, name):
        def counted(string):
            searched[name] += len(string)
            return search(string)

        return counted

    nlp = make_nlp()
    nlp.tokenizer.prefix_search = count(nlp.tokenizer.prefix_search, "prefix")
    nlp.tokenizer.suffix_search = count(nlp.tokenizer.suffix_search, "suffix")
    text = f"It is {unit * (8000 // len(unit))} here."
    assert nlp.make_doc(text).text == text
    assert max(searched.values()) < 100 * len(text)  # spaCy's own rules: 1000 times and more


def test_long_links_are_left_to_spacy() -> None:
    link = "https://example.org/" + "%D0%9F" * 100
    text = f"See ({link}), or {link}:) now"
    assert words(NLP, text) == words(DEFAULT, text)
    assert link in words(NLP, text)


class TestLoneSurrogates:
    TEXT = "Maria \udcff in 北京"

    @pytest.mark.parametrize("text", [TEXT, "a\ud800", "\udfff"])
    def test_is_a_coded_error(self, text):
        with pytest.raises(CrossnerError, match=r"CN125.*'\\ud.*character \d.*replace"):
            make_nlp()(text)
        with pytest.raises(CrossnerError, match="CN125"):
            list(make_nlp().pipe(["fine", text]))

    def test_error_handler_decides(self):
        nlp, handled = make_nlp(), []
        nlp.set_error_handler(lambda *args: handled.append(args))
        docs = [nlp(self.TEXT), *nlp.pipe(["Maria", self.TEXT, "Berlin"])]
        replaced = self.TEXT.replace("\udcff", "\ufffd")
        assert [doc.text for doc in docs] == [replaced, "Maria", replaced, "Berlin"]
        for name, proc, (doc,), error in handled:
            assert (name, proc, doc.text) == ("tokenizer", nlp.tokenizer, replaced)
            assert isinstance(error, CrossnerError)
        assert len(handled) == 2

    def test_a_copy_raises(self):
        tokenizer = pickle.loads(pickle.dumps(NLP.tokenizer))
        with pytest.raises(CrossnerError, match="CN125"):
            tokenizer(self.TEXT)


def test_special_cases_outside_the_scripts() -> None:
    nlp = make_nlp()
    nlp.tokenizer.add_special_case("gimme", [{"ORTH": "gim"}, {"ORTH": "me", "NORM": "to me"}])
    doc = nlp.make_doc("中gimme中 gimme")
    assert [token.text for token in doc] == ["中", "gim", "me", "中", "gim", "me"]
    assert doc[2].norm_ == "to me"


def test_bytes_and_disk(tmp_path: Path) -> None:
    nlp = make_nlp()
    nlp.tokenizer.add_special_case("gimme", [{"ORTH": "gim"}, {"ORTH": "me"}])
    data = nlp.tokenizer.to_bytes()
    nlp.tokenizer.to_disk(tmp_path / "tokenizer")
    from_bytes = make_nlp()
    from_bytes.tokenizer.from_bytes(data)
    from_disk = make_nlp()
    from_disk.tokenizer.from_disk(tmp_path / "tokenizer")
    text = "我在北京gimme https://a.com/中 ニューヨーク"
    for other in (from_bytes, from_disk):
        assert other.tokenizer.to_bytes() == data
        assert words(other, text) == words(nlp, text)
    assert type(from_disk.tokenizer) is ScriptTokenizer


def test_pickle() -> None:
    tokenizer = pickle.loads(pickle.dumps(NLP.tokenizer))
    assert type(tokenizer) is ScriptTokenizer
    assert [token.text for token in tokenizer("在Berlin")] == ["在", "Berlin"]


def test_several_processes() -> None:
    texts = [text for text, _ in EXAMPLES]
    docs = list(NLP.pipe(texts, n_process=2, batch_size=3))
    assert [doc.text for doc in docs] == texts
    assert [[token.text for token in doc] for doc in docs] == [words(NLP, text) for text in texts]


def test_load_in_a_fresh_process(tmp_path: Path) -> None:
    NLP.to_disk(tmp_path / "pipeline")
    code = (
        "import sys, spacy; nlp = spacy.load(sys.argv[1]); doc = nlp('\\u5728Berlin\\u4e2d');"
        "print(type(nlp.tokenizer).__name__, *[len(token) for token in doc])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pipeline")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["ScriptTokenizer", "1", "6", "1"]


def test_rules_of_other_languages() -> None:
    nlp = spacy.blank("de", config=CONFIG)
    text = "Das war z.B. in Köln-Deutz 中国."
    expected = words(spacy.blank("de"), text.replace("中国", "中 国"))
    assert words(nlp, text) == expected

"""Base forms of English words, so that "houses" finds "house" in a dictionary. Covers regular
endings and common irregular forms only."""

import re
from collections.abc import Iterator

AUXILIARIES = """
be am is are was were been being 'm 're
have has had having 've
do does did done doing
will would 'll 'd wo
can ca could
may might
must
shall
should
not n't
"""
IRREGULAR = """
I i me
he him
they them
we us
a an
that those
this these
become became
begin began begun
break broke broken
bring brought
build built
buy bought
catch caught
choose chose chosen
come came
die dying
draw drew drawn
drive drove driven
eat ate eaten
fall fell fallen
feel felt
fight fought
find found
fly flew flown
forget forgot forgotten
get got gotten
give gave given
go went gone
grow grew grown
hear heard
hold held
keep kept
know knew known
lead led
leave left
lend lent
lie lay lain lying
lose lost
make made
mean meant
meet met
pay paid
ride rode ridden
rise rose risen
run ran
say said
see saw seen
sell sold
send sent
shake shook shaken
shoot shot
show shown
sing sang sung
sit sat
sleep slept
speak spoke spoken
spend spent
stand stood
steal stole stolen
swim swam swum
take took taken
teach taught
tell told
think thought
throw threw thrown
understand understood
wake woke woken
wear wore worn
win won
write wrote written
child children
foot feet
half halves
knife knives
leaf leaves
life lives
man men
mouse mice
person people
tooth teeth
wife wives
wolf wolves
woman women
good better best
bad worse worst
"""


def _table(lines: str) -> dict[str, str]:
    rows = [line.split() for line in lines.split("\n") if line]
    return {form: row[0] for row in rows for form in row}


AUXILIARY_FORMS = _table(AUXILIARIES)
IRREGULAR_FORMS = _table(IRREGULAR)
VOWELS = frozenset("aeiou")
SHORT_STEM = re.compile("[^aeiou]*[aeiou][^aeiouwxy]")


def base_forms(word: str) -> Iterator[str]:
    """Guess the base forms of an English word or phrase by its ending.

    word (str): The word. In a phrase, the last word is inflected.
    YIELDS (str): Candidates, likeliest first. Many are not words and must be looked up.
    """
    head, space, last = word.rpartition(" ")
    for form in _base_forms(last):
        yield head + space + form


def _base_forms(word: str) -> Iterator[str]:
    lower = word.lower()
    if lower in AUXILIARY_FORMS:
        yield AUXILIARY_FORMS[lower]
    if lower in IRREGULAR_FORMS:
        yield IRREGULAR_FORMS[lower]
    if lower.endswith("'s"):
        yield word[:-2]
    elif lower.endswith("s'"):
        yield from (word[:-1], word[:-2])
    elif lower.endswith("s") and not lower.endswith("ss") and len(word) > 3:
        if lower.endswith("ies"):
            yield word[:-3] + "y"
        yield word[:-1]
        if lower.endswith("es"):
            yield word[:-2]
    elif lower.endswith("ied") and len(word) > 4:
        yield word[:-3] + "y"
    elif lower.endswith("ed") and len(word) > 3:
        yield from _verb_stems(word[:-2])
    elif lower.endswith("ing") and len(word) > 4:
        yield from _verb_stems(word[:-3])


def _verb_stems(stem: str) -> Iterator[str]:
    """Yield the stems of forms such as "hoped", "stopped" and "walked"."""
    if SHORT_STEM.fullmatch(stem.lower()):  # "hop" would double its consonant
        yield from (stem + "e", stem)
        return
    doubled = len(stem) > 2 and stem[-1] == stem[-2] and stem[-1].lower() not in VOWELS
    if doubled and stem[-1].lower() not in "ls":  # mostly "falling", "passing", not "travelling"
        yield stem[:-1]
    yield stem
    if doubled:
        yield stem[:-1]
    yield stem + "e"

"""Language codes of three letters, which Apertium and some translation models go by."""

# Each line: the code of two letters, then those of three, the one for the main variety first.
TABLE = """
af afr | am amh | an arg | ar ara arb | az aze azj | be bel | bg bul | bn ben | br bre | bs bos hbs
ca cat | cs ces | cy cym | da dan | de deu | el ell | en eng | eo epo | es spa | et est ekk | eu eus
fa fas pes | fi fin | fo fao | fr fra | ga gle | gd gla | gl glg | gu guj | he heb | hi hin
hr hrv hbs | hu hun | hy hye | id ind | is isl | it ita | ja jpn | ka kat | kk kaz | kn kan | ko kor
ky kir | la lat | lb ltz | lt lit | lv lav lvs | mk mkd | ml mal | mr mar | ms msa zsm | mt mlt
nb nob | ne nep npi | nl nld | nn nno | no nob nno nor | oc oci | pl pol | pt por | ro ron | ru rus
sa san | sc srd | se sme | sh hbs | si sin | sk slk | sl slv | sq sqi als | sr srp hbs | sv swe
sw swa swh | ta tam | te tel | th tha | ti tir | tl tgl | tn tsn | tr tur | tt tat | uk ukr | ur urd
uz uzb uzn | vi vie | yo yor | zh zho cmn
"""
_LINES = map(str.split, TABLE.replace("\n", "|").split("|"))
CODES = {codes[0]: tuple(codes) for codes in _LINES if codes}


def find_codes(language: str) -> tuple[str, ...]:
    """Find what a language is called elsewhere.

    language (str): Its code, of two letters as spaCy has it, or of three.
    RETURNS (tuple[str, ...]): The code itself, and its other forms.
    """
    if language in CODES:
        return CODES[language]
    for codes in CODES.values():
        if language in codes:
            return (language, *(code for code in codes if code != language))
    return (language,)


def main_code(code: str) -> str:
    """RETURNS (str): The code of three letters for one of two; any other stays as it is."""
    return CODES[code][1] if code in CODES else code

import json

import pytest

from talkhead.audio.phoneme_files import read_phonemes
from talkhead.errors import InputError

CAT = [("", 0.0, 0.1), ("K", 0.1, 0.2), ("AE1", 0.2, 0.35), ("T", 0.35, 0.4)]


def textgrid(tiers, *, long):
    """A TextGrid as Praat writes it."""
    out = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    field = (lambda name, value: f"{name} = {value} ") if long else (lambda name, value: str(value))
    out += [field("xmin", 0), field("xmax", 0.4), "tiers? <exists>" if long else "<exists>", field("size", len(tiers))]
    out += ["item []:"] if long else []
    for number, (kind, name, marks) in enumerate(tiers, 1):
        out += [f"    item [{number}]:"] if long else []
        out += [field("class", f'"{kind}"'), field("name", f'"{name}"'), field("xmin", 0), field("xmax", 0.4)]
        part = "intervals" if kind == "IntervalTier" else "points"
        out += [f"        {part}: size = {len(marks)}" if long else str(len(marks))]
        for index, (text, *times) in enumerate(marks, 1):
            out += [f"        {part} [{index}]:"] if long else []
            out += [field(what, time) for what, time in zip(("xmin", "xmax"), times, strict=False)]
            out += [field("text", '"' + text.replace('"', '""') + '"')]
    return "\n".join(out) + "\n"


WORDS = ("IntervalTier", "words", [("", 0.0, 0.1), ('a "cat" [2] = 3', 0.1, 0.4)])
POINTS = ("TextTier", "bells", [("ding", 0.2)])
PHONES = ("IntervalTier", "phones", CAT)


def written(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def labels(timing):
    return [(p.name, round(p.start_s, 4), round(p.end_s, 4)) for p in timing.phones]


@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_textgrid(tmp_path, long, encoding):
    text = textgrid([WORDS, POINTS, PHONES], long=long).replace("\n", "\r\n")
    timing = read_phonemes(written(tmp_path, "cat.TextGrid", text, encoding))
    assert labels(timing) == CAT
    assert timing.alphabet == "arpabet"


@pytest.mark.parametrize("name", ["Phone", "phonemes", "anna - phones", "MAU"])
def test_the_tier_of_phones_goes_by_several_names(tmp_path, name):
    text = textgrid([WORDS, ("IntervalTier", name, CAT)], long=False)
    assert labels(read_phonemes(written(tmp_path, "cat.TextGrid", text))) == CAT


def test_an_only_tier_may_have_any_name(tmp_path):
    text = textgrid([("IntervalTier", "ORT", CAT), POINTS], long=True)
    assert labels(read_phonemes(written(tmp_path, "cat.textgrid", text))) == CAT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            textgrid([WORDS, WORDS[:1] + ("other",) + WORDS[2:]], long=True),
            ["no tier named phones", "'words', 'other'"],
        ),
        (textgrid([PHONES, ("IntervalTier", "b - phones", CAT)], long=False), ["several tiers", "'b - phones'"]),
        (textgrid([PHONES], long=True)[:400], ["ends where", "cut off"]),
        (textgrid([PHONES], long=False).replace("0.35", '"x"', 1), ["line 20", "expected a number", '"x"']),
        ('"ooTextFile"\n"Sound"\n0\n1\n', ["Sound", "not a TextGrid"]),
    ],
)
def test_what_is_wrong_with_a_textgrid_is_said(tmp_path, text, words):
    path = written(tmp_path, "cat.TextGrid", text)
    with pytest.raises(InputError) as caught:
        read_phonemes(path)
    for word in [str(path), *words]:
        assert word in caught.value.message


MFA_ROWS = "0,0.4,cat,words,a\n0,.1,,phones,a\n.1,.2,K,phones,a\n.2,.35,AE1,phones,a\n.35,.4,T,phones,a\n"
MFA_TIERS = {"words": {"entries": []}, "phones": {"entries": [[a, b, n] for n, a, b in CAT]}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seconds.lab", "0.0 0.1 sil\n0.1 0.2 K\n0.2 0.35 AE1\n0.35 0.4 T\n"),
        ("audacity.txt", "0.0\t0.1\tsil\n0.1\t0.2\tK\n\n0.2\t0.35\tAE1\n0.35\t0.4\tT\n"),
        ("htk.lab", "0 1000000 sil -120.3\n1000000 2000000 K\n2000000 3500000 AE1\n3500000 4000000 T\n"),
        ("timit.phn", "0 1600 h#\n1600 3200 K\n3200 5600 AE1\n5600 6400 T\n"),
        ("flite.lab", "separator ;\nnfields 1\n#\n0.1 125 pau\n0.2 125 K\n0.35 125 AE1\n0.4 125 T\n"),
        ("kaldi.ctm", "u1 1 0.0 0.1 SIL\nu1 1 0.1 0.1 K_B\nu1 1 0.2 0.15 AE1_I\nu1 1 0.35 0.05 T_E\n"),
        ("mfa.csv", "Begin,End,Label,Type,Speaker\n" + MFA_ROWS),
        ("plain.csv", "0,0.1,sil\n0.1,0.2,K\n0.2,0.35,AE1\n0.35,0.4,T\n"),
        ("durations.tsv", "start\tduration\tphone\n0\t0.1\tsil\n0.1\t0.1\tK\n0.2\t0.15\tAE1\n0.35\t0.05\tT\n"),
        ("list.json", json.dumps([{"start": a, "end": b, "phone": n or "sil"} for n, a, b in CAT])),
        ("short.json", json.dumps({"phones": [[a, b, n] for n, a, b in CAT]})),
        ("mfa.json", json.dumps({"tiers": MFA_TIERS})),
    ],
    ids=lambda value: value if len(value) < 20 else "",
)  # fmt: skip
def test_label_files(tmp_path, name, text):
    found = labels(read_phonemes(written(tmp_path, name, text)))
    assert [(n, a, b) for n, a, b in found[1:]] == CAT[1:]
    assert found[0][1:] == CAT[0][1:]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.lab", "0.0 0.1 a\n0.1 x b\n", ["line 2", "'x'"]),
        ("a.lab", "dear aunt\n", ["line 1", "'dear'"]),
        ("a.lab", "", ["holds no phones"]),
        ("a.ctm", "u1 1 0.0 0.1\n", ["line 1", "duration"]),
        ("a.json", '[{"start": 0, "end": 1}]', ["entry 1", '{"start": 0, "end": 1}']),
        ("a.json", '[{"start": true, "end": 1, "phone": "a"}]', ["True"]),
        ("a.json", '[{"start": 0,\n "end": 1, "phone": ]', ["line 2", "not JSON"]),
        ("a.json", '{"words": []}', ["holds no phones"]),
        ("a.csv", "a,b,c\n1,2,3\n", ["line 1", "a, b, c"]),
        ("a.csv", "start,end,phone\n0,0.1,a\n0.1,later,b\n", ["line 3", "'later'"]),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, name, text, words):
    path = written(tmp_path, name, text)
    with pytest.raises(InputError) as caught:
        read_phonemes(path)
    for word in [str(path), *words]:
        assert word in caught.value.message


def test_no_text_no_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_phonemes(tmp_path / "missing.lab")
    for data in (b"\xff\x00\x81\x82", b"RIFF\0\0\0\0WAVE"):
        path = tmp_path / "sound.lab"
        path.write_bytes(data)
        with pytest.raises(InputError, match="is not text"):
            read_phonemes(path)

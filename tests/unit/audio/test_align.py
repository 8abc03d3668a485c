import sys

import pytest

from talkhead.audio.align import align, read_transcript, words_of
from talkhead.errors import EnvironmentProblem, InputError
from talkhead.media.audio import Waveform


def test_without_pocketsphinx_the_way_to_it_is_shown(monkeypatch, chirp):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(EnvironmentProblem) as caught:
        align(Waveform(chirp), "hello")
    assert caught.value.exit_code == 5
    assert caught.value.hint == "pip install 'talkhead[align]'"


def test_words():
    text = "Caf\u00e9 \u201cwell-known\u201d \u2014 don\u2019t! [laughs] <i>U.S.</i> 42"
    assert words_of(text) == ["cafe", "well-known", "don't", "u.s", "42"]


def test_transcripts_are_texts_or_files(tmp_path):
    assert read_transcript("Hello there.") == ("Hello there.", "the transcript")
    assert read_transcript("word " * 400)[0] == "word " * 400
    path = tmp_path / "say.txt"
    path.write_text("Hello there.", encoding="utf-16")
    assert read_transcript(str(path)) == ("Hello there.", str(path))
    path = tmp_path / "say.srt"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\nthere.\n")
    assert words_of(read_transcript(path)[0]) == ["hello", "there"]
    with pytest.raises(InputError, match="missing.txt: no such file"):
        read_transcript(str(tmp_path / "missing.txt"))

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from talkhead.audio import characters as module
from talkhead.audio.characters import (
    LETTERS,
    N_CHARACTERS,
    OTHER,
    CharacterFile,
    CharacterTrack,
    CtcCharacters,
    Token,
    character_number,
    fold,
    load_wav2vec2,
    no_characters,
    phone_rows,
    recognised_characters,
    token_rows,
    windows,
)
from talkhead.audio.phonemes import Phone, PhoneTiming
from talkhead.errors import InputError, ShapeError, UsageError, WeightsError
from talkhead.media.audio import Waveform

SECOND = Waveform(np.zeros(16000, np.float32), 16000)


def spoken(rows):
    """The likeliest characters as text, `_` for other."""
    return "".join((LETTERS + "_")[i] for i in np.asarray(rows).argmax(1))


def one_hot(text):
    rows = np.zeros((len(text), N_CHARACTERS), np.float32)
    rows[np.arange(len(text)), [character_number(c) for c in text]] = 1
    return rows


def test_nobody_knows_anything():
    rows = no_characters(SECOND, fps=25, n_frames=7)
    assert spoken(rows) == "_______" and rows.sum() == 7
    assert windows(rows).shape == (7, 216) and (windows(rows).sum(1) == 8).all()


def test_windows_are_four_frames_before_and_three_after():
    parts = windows(one_hot("abcdefghijk")).reshape(11, 8, N_CHARACTERS)
    assert spoken(parts[5]) == "bcdefghi"
    assert spoken(parts[0]) == "aaaaabcd" and spoken(parts[10]) == "ghijkkkk"
    with pytest.raises(ShapeError, match="rows"):
        windows(np.zeros((4, 26)))


def test_alphabets_are_folded_by_summing():
    labels = ("-", "|", "A", "b", "'", "a")
    probabilities = np.array([[0.1, 0.2, 0.3, 0.15, 0.05, 0.2]])
    folded = fold(probabilities, labels)
    assert folded[0, 0] == pytest.approx(0.5) and folded[0, 1] == pytest.approx(0.15)
    assert folded[0, OTHER] == pytest.approx(0.35)
    np.testing.assert_allclose(fold(np.log(probabilities) + 3, labels), folded, atol=1e-6)
    with pytest.raises(ShapeError, match="values"):
        fold(probabilities, labels[:3])


def test_tracks_are_read_while_a_frame_is_shown():
    track = CharacterTrack(one_hot("aabbccdd"), rate=50.0, start_s=0.01)  # rows are of 20 ms each
    rows = track.rows(25.0, 6)
    assert spoken(rows) == "abcddd"
    np.testing.assert_allclose(rows[:4].max(1), 1)
    np.testing.assert_allclose(rows.sum(1), 1, atol=1e-6)
    with pytest.raises(UsageError, match="rate of 0"):
        CharacterTrack(one_hot("a"), rate=0.0)
    with pytest.raises(ShapeError, match="probabilities"):
        CharacterTrack(np.zeros((0, N_CHARACTERS), np.float32), rate=50.0)


def test_files(tmp_path):
    save_file({"characters": one_hot("aabbccdd")}, tmp_path / "c.safetensors", {"rate": "50"})
    assert spoken(CharacterFile(tmp_path / "c.safetensors")(SECOND, fps=25, n_frames=4)) == "abcd"
    np.save(tmp_path / "c.npy", one_hot("abcd"))
    assert spoken(CharacterFile(tmp_path / "c.npy")(SECOND, fps=25, n_frames=4)) == "abcd"
    assert spoken(CharacterFile(tmp_path / "c.npy")(SECOND, fps=25, n_frames=8)) == "aabbccdd"
    deepspeech = np.full((3, 29), -9.0)  # logits: space, letters, apostrophe, blank
    deepspeech[0, 0] = deepspeech[1, 1] = deepspeech[2, 28] = 9
    np.save(tmp_path / "d.npy", deepspeech)
    assert spoken(CharacterFile(tmp_path / "d.npy")(SECOND, fps=25, n_frames=3)) == "_a_"


def test_files_that_are_none(tmp_path):
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"characters": one_hot("ab")}, tmp_path / "timeless.safetensors")
    save_file({"characters": one_hot("ab")}, tmp_path / "still.safetensors", {"rate": "0"})
    np.save(tmp_path / "narrow.npy", np.zeros((3, 26)))
    np.save(tmp_path / "broken.npy", np.full((3, 27), np.nan))
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    for name, reason in (
        ("none.npy", "no file of characters"), ("text.safetensors", "no file"), ("timeless.safetensors", "rate"),
        ("still.safetensors", "rate of 0"), ("narrow.npy", r"\(3, 26\)"), ("broken.npy", "not finite"),
        ("objects.npy", "no file"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=reason):
            CharacterFile(tmp_path / name)(SECOND, fps=25, n_frames=4)


def test_tokens_are_taken_five_frames_ahead():
    tokens = [Token("a", 0.41), Token("'", 0.61), Token("B", 0.81)]
    rows = token_rows(tokens, 1.0, 25)
    assert spoken(rows) == "______aaaaa_____bbbbbbbbb"
    assert spoken(token_rows([], 1.0, 3)) == "___"


def test_a_moment_on_a_border_is_found_by_bisection():
    """Four intervals with borders at 1, 2, 3: the bisection looks at number 2 first, then at 1."""
    starts, ends = [0, 1, 2, 3], [1, 2, 3, 4]
    assert [module._bisected(starts, ends, t) for t in (0.0, 1.0, 2.0, 3.0, 4.0, 9.0)] == [0, 1, 2, 2, 3, 3]


def test_phones_are_letters():
    phones = (Phone("HH", 0.0, 0.04), Phone("AY1", 0.04, 0.12), Phone("SIL", 0.12, 0.2), Phone("SH", 0.2, 0.22))
    rows = phone_rows(PhoneTiming(phones=phones, alphabet="arpabet", source="test"), 25.0, 7)
    assert spoken(rows) == "hii__s_"
    assert rows[5, 18] == pytest.approx(0.5) and rows[5, OTHER] == pytest.approx(0.5)
    np.testing.assert_allclose(rows.sum(1), 1, atol=1e-6)
    ipa = (Phone("m\u02d0", 0.0, 0.04), Phone("\u00e3", 0.04, 0.08), Phone("\u0283", 0.08, 0.12))
    assert spoken(phone_rows(PhoneTiming(phones=ipa, alphabet="ipa", source="test"), 25.0, 3)) == "ma_"


def test_every_phone_of_the_aligner_has_a_letter():
    from talkhead.audio.align import _PHONES

    assert all(module._letter_of_phone(name, "arpabet") != OTHER for name in _PHONES)


def test_recognised_words_are_timed_by_their_phones(monkeypatch):
    from talkhead.audio import align, recognise

    phones = (Phone("HH", 0.0, 0.04), Phone("AY", 0.04, 0.12))
    timing = PhoneTiming(phones=phones, alphabet="arpabet", source="test")
    monkeypatch.setattr(recognise, "recognise", lambda speech: "hi")
    monkeypatch.setattr(align, "align", lambda speech, words: timing if words == "hi" else None)
    assert spoken(recognised_characters(SECOND, fps=25.0, n_frames=4)) == "hii_"

    def nothing(speech):
        raise InputError("no English words were recognised")

    monkeypatch.setattr(recognise, "recognise", nothing)
    assert spoken(recognised_characters(SECOND, fps=25.0, n_frames=4)) == "____"


@pytest.mark.slow
def test_recognised_speech_has_letters(example_speech):
    pytest.importorskip("pocketsphinx")
    from talkhead.media.audio import read_waveform

    whole = read_waveform(example_speech)
    part = Waveform(whole.samples[: 3 * whole.sample_rate], whole.sample_rate)
    assert len(set(spoken(recognised_characters(part, fps=25.0, n_frames=75))) - {"_"}) > 6


class Nothing:
    """A sound without samples, as a pipe may give."""

    sample_rate = 16000

    def blocks(self, seconds=20.0):
        yield np.zeros(0, np.float32)


class Loudness(torch.nn.Module):
    """A recogniser that says a in loud stretches of 20 ms; it sees 400 samples, every 320."""

    def forward(self, waveforms):
        level = waveforms.unfold(1, 400, 320).abs().mean(2)
        return torch.stack([-1e3 * (level - 0.1), 1e3 * (level - 0.1)], 2), None


def test_ctc_recognisers_in_pieces():
    rng = np.random.default_rng(0)
    loud = np.repeat(rng.integers(0, 2, 50), 640)  # 2 s, a frame of 40 ms each
    speech = Waveform((0.3 * loud * rng.choice([-1, 1], len(loud))).astype(np.float32), 16000)
    whole = CtcCharacters(Loudness(), ("-", "a"))(speech, fps=25.0, n_frames=50)
    pieces = CtcCharacters(Loudness(), ("-", "a"), chunk_s=0.2, context_s=0.1)(speech, fps=25.0, n_frames=50)
    np.testing.assert_allclose(pieces, whole, atol=1e-5)
    agrees = (whole[:, 0] > 0.5) == (loud[::640] == 1)
    assert agrees.mean() > 0.95
    assert spoken(CtcCharacters(Loudness(), ("-", "a"))(Nothing(), fps=25, n_frames=2)) == "__"
    short = Waveform(np.full(100, 0.5, np.float32), 16000)
    assert CtcCharacters(Loudness(), ("-", "a"))(short, fps=25, n_frames=2).shape == (2, N_CHARACTERS)


def test_published_recogniser_is_filled_strictly(tmp_path, monkeypatch):
    """The published file with tiny layers: old names of the weight norm, three columns that nobody says."""
    torchaudio = pytest.importorskip("torchaudio")

    def tiny(aux_num_out):
        return torchaudio.models.wav2vec2_model(
            extractor_mode="group_norm",
            extractor_conv_layer_config=[(8, 10, 5), (8, 8, 64)],
            extractor_conv_bias=False,
            encoder_embed_dim=8,
            encoder_projection_dropout=0.0,
            encoder_pos_conv_kernel=4,
            encoder_pos_conv_groups=2,
            encoder_num_layers=1,
            encoder_num_heads=2,
            encoder_attention_dropout=0.0,
            encoder_ff_interm_features=8,
            encoder_ff_interm_dropout=0.0,
            encoder_dropout=0.0,
            encoder_layer_norm_first=False,
            encoder_layer_drop=0.0,
            aux_num_out=aux_num_out,
        )

    monkeypatch.setattr(torchaudio.models, "wav2vec2_base", tiny)
    torch.manual_seed(0)
    published = tiny(32).eval()
    old_names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    tensors = {}
    for key, value in published.state_dict().items():
        for new, old in old_names.items():
            key = key.replace(new, old)
        tensors[key] = value.numpy()
    save_file(tensors, tmp_path / "w.safetensors")
    reader = load_wav2vec2(tmp_path / "w.safetensors")
    waveform = torch.randn(1, 4000)
    with torch.no_grad():
        expected = published(waveform)[0][..., [0, *range(4, 32)]]
        assert torch.allclose(reader.model(waveform)[0], expected, atol=1e-6)
    assert len(reader.labels) == 29 and reader.labels[:3] == ("-", "|", "e")
    assert reader(SECOND, fps=25.0, n_frames=25).shape == (25, N_CHARACTERS)
    del tensors["aux.bias"]
    save_file(tensors, tmp_path / "broken.safetensors")
    with pytest.raises(WeightsError, match="lacks aux.bias"):
        load_wav2vec2(tmp_path / "broken.safetensors")

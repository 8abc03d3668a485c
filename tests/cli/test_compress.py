"""compress and decompress: a small talking video there and back, and everything that is refused on the way."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import talkhead
from talkhead.coeffs.file import read_coeffs
from talkhead.coeffs.stream import StreamReader
from talkhead.face3d.leverage import landmark_errors
from talkhead.face3d.morphable import load_builtin
from talkhead.media.video import open_clip, probe
from talkhead.pipelines.opened_stream import read_compressed

N_FRAMES = 15


@pytest.fixture(scope="module")
def measured(talking):
    """Its coefficients."""
    return talkhead.extract(talking, system="meshwarp")


@pytest.fixture(scope="module")
def stream(tmp_path_factory, talking):
    """It compressed, and what the library returned."""
    path = tmp_path_factory.mktemp("stream") / "talking.thc"
    return path, talkhead.compress(talking, path)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, stream):
    """The stream drawn again."""
    path = tmp_path_factory.mktemp("drawn") / "drawn.mp4"
    return path, talkhead.decompress(stream[0], path, system="meshwarp", mark=False)


def frames(video):
    return np.stack(list(open_clip(video))).astype(int)


def sound_packets(ffmpeg, path):
    argv = [ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a:0", "-c", "copy", "-f", "md5", "-"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def errors(one, other):
    """Percent of the eye distance."""
    return 100 * landmark_errors(one, other, load_builtin())


def test_a_talking_video_comes_back(talking, measured, stream, drawn, ffmpeg):
    path, made = stream
    assert made.output == str(path) and made.written and made.system == "meshwarp"
    assert (made.n_frames, made.fps, made.size, made.format) == (N_FRAMES, 25, (192, 192), "compact")
    parts = made.header_bytes + made.picture_bytes + made.motion_bytes + made.sound_bytes
    assert parts == path.stat().st_size
    assert made.motion_kbit_s == pytest.approx(8 * made.motion_bytes / 0.6 / 1000, rel=1e-3) and made.motion_kbit_s < 4
    video, result = drawn
    assert result.system == "meshwarp" and result.n_frames == N_FRAMES
    info = probe(video)
    assert (info.width, info.height, info.fps) == (192, 192, 25)
    assert sound_packets(ffmpeg, video) == sound_packets(ffmpeg, talking)
    again = talkhead.extract(video, system="meshwarp")
    held = measured.at(np.full(N_FRAMES, made.reference_frame))
    assert errors(measured, again).mean() < 0.5 * errors(measured, held).mean()
    # At the moment of the picture, all there is left is what two encoders and WebP do.
    assert np.abs(frames(video) - frames(talking))[made.reference_frame].mean() < 4


def test_reported_errors_are_those_of_the_decoded_motion(stream, measured):
    path, made = stream
    found = errors(measured, read_compressed(path))
    assert made.error_mean == pytest.approx(found.mean(), abs=0.01)
    assert made.error_p95 == pytest.approx(np.percentile(found, 95), abs=0.02)
    assert 0 < made.error_mean < made.error_p95 < 1.2


def test_qualities_trade_bytes_for_errors(tmp_path, talking, measured):
    # From coefficients, so that the face is tracked once.
    with open_clip(talking) as clip:
        photo = clip.first_frame()
    made = [
        talkhead.compress(measured, tmp_path / f"{word}.thc", face=photo, quality=word)
        for word in ("low", "medium", "high", "best")
    ]
    rates = [m.motion_bytes for m in made]
    means = [m.error_mean for m in made]
    assert rates == sorted(rates) and rates[-1] > 1.5 * rates[0]
    assert means == sorted(means, reverse=True) and means[0] > 2 * means[-1]


def test_raw_formats_hold_the_papers_numbers(run_cli, tmp_path, talking, measured):
    out = tmp_path / "raw.thc"
    result = run_cli(
        *("compress", talking, "-o", out, "--format", "float32", "--picture", "png", "--sound", "none", "--json")
    )
    assert result.code == 0, result.stderr
    event = json.loads(result.stdout.splitlines()[-1])
    assert event["motion_bytes"] == N_FRAMES * 140 and event["motion_kbit_s"] == 28.0 and event["error_mean"] == 0
    assert event["header_bytes"] + event["picture_bytes"] + N_FRAMES * 140 == out.stat().st_size
    coeffs = read_compressed(out)
    for name in ("id", "exp", "rot", "trans", "scale"):
        assert getattr(coeffs, name).tobytes() == getattr(measured, name).tobytes(), name
    assert coeffs.eyelid is None and coeffs.gaze is None
    with StreamReader(out) as reader:
        picture = np.asarray(Image.open(io.BytesIO(reader.picture())))
    np.testing.assert_array_equal(picture, frames(talking)[event["reference_frame"]])


def test_eyes_can_go_into_raw_formats_and_stay_out_of_compact(tmp_path, measured, talking):
    with open_clip(talking) as clip:
        photo = clip.first_frame()
    raw = talkhead.compress(measured, tmp_path / "a.thc", face=photo, format="float16", eyes=True)
    assert raw.motion_bytes == N_FRAMES * 2 * 39  # 28 + 7, two lids, two of the gaze; the video has no tongue
    assert read_compressed(tmp_path / "a.thc").eyelid is not None
    talkhead.compress(measured, tmp_path / "b.thc", face=photo, eyes=False)
    blind = read_compressed(tmp_path / "b.thc")
    assert blind.eyelid is None and blind.gaze is None and blind.exp is not None


def test_what_is_said_on_stdout(run_cli, tmp_path, talking):
    out = tmp_path / "a.thc"
    result = run_cli("compress", talking, "-o", out, "--sound", "opus", "--quality", "medium")
    assert result.code == 0
    assert result.stdout.startswith(f"{out}: 15 frames at 25 fps, 0.60 s, motion ")
    assert "of the eye distance" in result.stdout and ", sound " in result.stdout
    with StreamReader(out) as reader:
        assert reader.sound_kind == "matroska"
        reader.copy_sound(tmp_path / "sound.mka")
    assert probe(tmp_path / "sound.mka").audio_codec == "opus"
    video = tmp_path / "a.mp4"
    result = run_cli("decompress", out, "-o", video, "--system", "meshwarp", "--size", "96")
    assert result.stdout == f"{video}: 96x96, 15 frames at 25 fps, 0.60 s, meshwarp\n"
    assert abs(probe(video).duration_s - 0.6) < 0.04 and probe(video).has_audio
    assert run_cli("decompress", out, "-o", video, "--overwrite", "-q", "--frame", "0").code == 2


def test_stages_are_reported(run_cli, tmp_path, talking):
    out = tmp_path / "a.thc"
    lines = run_cli("compress", talking, "-o", out, "--json").stdout.splitlines()
    assert [e["name"] for e in map(json.loads, lines) if e["event"] == "stage"] == ["track", "encode"]
    lines = run_cli("decompress", out, "-o", tmp_path / "a.mp4", "--json", "--system", "meshwarp").stdout.splitlines()
    assert [e["name"] for e in map(json.loads, lines) if e["event"] == "stage"] == ["render"]


def test_pictures_and_motion_out_of_a_stream(run_cli, tmp_path, stream, drawn):
    path, made = stream
    still = tmp_path / "still.png"
    args = ("--system", "meshwarp", "--no-mark")
    assert run_cli("decompress", path, "-o", still, "--frame", made.reference_frame, *args).code == 0
    with StreamReader(path) as reader:
        shown = np.asarray(Image.open(io.BytesIO(reader.picture()))).astype(int)
    assert np.abs(np.asarray(Image.open(still)).astype(int) - shown).mean() < 0.3
    folder = tmp_path / "frames/"
    assert run_cli("decompress", path, "-o", f"{folder}/", *args).code == 0
    assert len(list(folder.iterdir())) == N_FRAMES
    motion = tmp_path / "motion.safetensors"
    result = run_cli("decompress", path, "-o", motion)
    assert result.stdout == f"{motion}: 15 frames at 25 fps\n"
    np.testing.assert_array_equal(read_coeffs(motion).exp, read_compressed(path).exp)
    assert read_coeffs(motion).params["format"] == "compact"


def test_streams_are_read_wherever_coefficients_are(run_cli, tmp_path, stream, face):
    path, _ = stream
    shown = run_cli("inspect", path)
    assert shown.code == 0 and "compact" in shown.stdout and "rot yaw" in shown.stdout
    edited = tmp_path / "edited.safetensors"
    assert run_cli("edit", path, "--yaw", "+=5", "-o", edited).code == 0
    assert np.degrees(read_coeffs(edited).rot - read_compressed(path).rot)[:, 1] == pytest.approx(5, abs=0.5)
    assert run_cli("render", face, path, "-o", tmp_path / "other.png", "--system", "meshwarp").code == 0


def test_coefficients_and_a_photo(run_cli, tmp_path, face, motion, speech):
    """Relative motion moves the photo as render does."""
    out = tmp_path / "a.thc"
    result = run_cli("compress", motion, face, "-o", out, "--audio", speech, "--quality", "best", "--picture", "png")
    assert result.code == 0, result.stderr
    coeffs = read_compressed(out)
    assert coeffs.relative == {"rot"} and coeffs.exp is None
    assert np.degrees(np.abs(coeffs.rot - read_coeffs(motion).rot)).max() < 1.0
    args = ("--system", "meshwarp", "--no-mark", "--frame", "4")
    assert run_cli("decompress", out, "-o", tmp_path / "a.png", *args).code == 0
    assert run_cli("render", face, motion, "-o", tmp_path / "b.png", *args).code == 0
    one, other = (np.asarray(Image.open(tmp_path / name)).astype(int) for name in ("a.png", "b.png"))
    assert np.abs(one - other).mean() < 0.6
    with StreamReader(out) as reader:
        assert reader.sound_kind == "matroska"
        reader.copy_sound(tmp_path / "sound.mka")
    assert probe(tmp_path / "sound.mka").audio_codec == "pcm_s16le"


def test_a_video_moves_another_photo(tmp_path, talking, measured, face):
    """Motion of a picture of another size is carried over by its changes, as reenact does."""
    with Image.open(face) as photo:
        larger = np.asarray(photo.convert("RGB").resize((256, 256)))
    made = talkhead.compress(talking, tmp_path / "a.thc", face=larger, sound="none")
    assert made.reference_frame is None and made.size == (256, 256) and made.sound_bytes == 0
    coeffs = read_compressed(tmp_path / "a.thc")
    assert {"trans", "scale"} <= coeffs.relative
    talkhead.decompress(tmp_path / "a.thc", tmp_path / "a.png", system="meshwarp")
    assert Image.open(tmp_path / "a.png").size == (256, 256)


def test_through_pipes(tmp_path, talking, stream):
    code = "import sys; from talkhead.cli.app import main; sys.exit(main(sys.argv[1:]))"

    def run(*args, **options):
        return subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, **options)

    made = run("compress", talking)
    assert made.returncode == 0, made.stderr
    assert made.stdout == stream[0].read_bytes()
    out = tmp_path / "a.png"
    done = run("decompress", "-", "-o", out, "--system", "meshwarp", input=made.stdout)
    assert done.returncode == 0 and out.exists()
    broken = run("decompress", "-", "-o", tmp_path / "b.png", input=made.stdout[:500])
    assert broken.returncode == 3 and b"standard input: cut off" in broken.stderr


def test_dry_runs_write_nothing(run_cli, tmp_path, talking, stream, face, motion):
    out = tmp_path / "a.thc"
    result = run_cli("compress", talking, "-o", out, "--dry-run")
    assert result.code == 0 and result.stdout == f"would write {out}: 15 frames at 25 fps, 0.60 s\n"
    assert run_cli("compress", motion, face, "--dry-run").stdout.startswith("would write standard output: 5 frames")
    for name in ("a.mp4", "a.safetensors"):
        result = run_cli("decompress", stream[0], "-o", tmp_path / name, "--dry-run", "--system", "meshwarp")
        assert result.code == 0 and result.stdout.startswith(f"would write {tmp_path / name}: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["missing", "empty", "truncated", "wrong type", "folder", "altered", "foreign space"])
@pytest.mark.parametrize("command", ["decompress", "motion"])
def test_bad_streams(run_cli, tmp_path, stream, kind, command):
    good = stream[0].read_bytes()
    path = tmp_path / "broken.thc"
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        content = {
            "empty": b"",
            "truncated": good[: len(good) // 2],
            "wrong type": b"this is a letter to my aunt\n" * 20,
            "altered": good[:-1] + bytes([good[-1] ^ 1]),
            "foreign space": foreign(good),
        }[kind]
        path.write_bytes(content)
    out = tmp_path / ("out.mp4" if command == "decompress" else "out.safetensors")
    result = run_cli("decompress", path, "-o", out)
    assert result.code == 3, result.stderr
    assert str(path) in result.stderr and "Traceback" not in result.stderr
    assert result.stdout == "" and not list(tmp_path.glob("out*"))


def foreign(stream):
    """The stream with codes of a face model that was rebuilt since."""
    import struct
    import zlib

    size = struct.unpack_from("<I", stream, 6)[0]
    name = load_builtin().space.name.encode()
    header = stream[: size - 4].replace(name, name[:-4] + b"0000")
    return header + struct.pack("<I", zlib.crc32(header)) + stream[size:]


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["compress", "TALKING", "-o", "OUT.mp4"], 2),
        (["compress", "TALKING", "-o", "OUT.safetensors"], 2),
        (["compress", "MOTION", "-o", "OUT.thc"], 2),
        (["compress", "TALKING", "-o", "OUT.thc", "--quality", "superb"], 2),
        (["compress", "TALKING", "-o", "OUT.thc", "--picture-quality", "0"], 2),
        (["compress", "TALKING", "-o", "OUT.thc", "--system", "abacus"], 2),
        (["compress", "TALKING", "-o", "OUT.thc", "--system", "sadtalker"], 2),
        (["compress", "TALKING", "--json"], 2),
        (["compress", "CLIP", "-o", "OUT.thc"], 3),
        (["compress", "OUT.none", "-o", "OUT.thc"], 3),
        (["compress", "TALKING", "-o", "OUT.thc", "--audio", "FACE"], 3),
        (["compress", "TALKING", "-o", "OUT/none/a.thc"], 3),
        (["decompress", "STREAM", "-o", "-"], 2),
        (["decompress", "STREAM", "-o", "OUT.wav"], 2),
        (["decompress", "STREAM", "-o", "OUT.png", "--frame", "99"], 2),
        (["decompress", "TALKING", "-o", "OUT.mp4"], 3),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else str(v),
)
def test_refused(run_cli, tmp_path, talking, stream, motion, face, clip, argv, code):
    named = {"TALKING": talking, "STREAM": stream[0], "MOTION": motion, "FACE": face, "CLIP": clip}
    result = run_cli(*(named.get(arg, arg.replace("OUT", str(tmp_path / "out"))) for arg in argv))
    assert result.code == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == "" or "--json" in argv
    assert not list(tmp_path.iterdir())


def test_outputs_are_not_replaced_and_inputs_left_alone(run_cli, tmp_path, talking, stream):
    out = tmp_path / "a.thc"
    out.write_text("mine")
    assert run_cli("compress", talking, "-o", out).code == 3
    assert out.read_text() == "mine"
    copy = tmp_path / "b.thc"
    copy.write_bytes(stream[0].read_bytes())
    assert run_cli("compress", copy, talking, "-o", copy, "--overwrite").code == 2
    assert copy.read_bytes() == stream[0].read_bytes()


def test_words_of_the_library_are_checked(tmp_path, measured, face):
    for words in ({"quality": "superb"}, {"format": "int8"}, {"picture": "gif"}, {"sound": "loud"}):
        with pytest.raises(talkhead.TalkheadError, match=next(iter(words.values()))):
            talkhead.compress(measured, tmp_path / "a.thc", face=face, **words)
    with pytest.raises(talkhead.TalkheadError, match="picture quality"):
        talkhead.compress(measured, tmp_path / "a.thc", face=face, picture_quality=101)
    foreign_codes = measured.replace(space="clay-00000001")
    with pytest.raises(talkhead.TalkheadError, match="clay-00000001"):
        talkhead.compress(foreign_codes, tmp_path / "a.thc", face=face)
    assert not list(tmp_path.iterdir())


def test_learned_systems_draw_streams_too(run_cli, tmp_path, face, motion, tiny_weights):
    """Head motion means the same in every space; codes would be converted, as render does."""
    stream, out = tmp_path / "a.thc", tmp_path / "a.png"
    talkhead.compress(motion, stream, face=face)
    result = run_cli("decompress", stream, "-o", out, "--system", "sadtalker", "--frame", "3", "--framing", "crop")
    assert result.code == 0, result.stderr
    assert result.stdout.endswith(", sadtalker\n") and out.exists()


def test_one_of_two_people_is_moved_as_another_person_moves(tmp_path, measured, media):
    """Of somebody else only the changes count; the decoder finds the very face that was chosen."""
    from talkhead.face.mesh import choose_face
    from talkhead.pipelines.opened_stream import open_stream

    photo = media / "faces" / "two_people.jpg"
    with Image.open(photo) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    for index in (0, 1):
        path = tmp_path / f"{index}.thc"
        talkhead.compress(measured, path, face=photo, face_choice=index)
        with open_stream(path, name="two") as found:
            wanted = choose_face(pixels, index)
            assert np.abs(np.array(found.source.landmarks.bbox) - wanted.bbox).max() < 0.1 * wanted.eye_distance
            assert {"exp", "rot", "trans", "scale"} <= found.coeffs.relative

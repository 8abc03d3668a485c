"""Contact sheet of speech sounds on faces: what the network hears, or what the renderer can show.

    python scripts/viseme_sheet.py FACE... -o SHEET.png              one synthetic sentence, heard and animated
    python scripts/viseme_sheet.py FACE... -o SHEET.png --told       the same with the phones given
    python scripts/viseme_sheet.py FACE... -o SHEET.png --canonical  the same sounds straight from the target table

Needs flite (`apt-get install flite`), which says when each sound is spoken. Frames stand at the visual middle of the
sounds, 40 ms ahead of the audible one. Each face gets its neutral mouth first.
"""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from scripts.train_mouth import flite
from talkhead.coeffs.container import Coeffs
from talkhead.face.mesh import choose_face
from talkhead.face3d.morphable import load_builtin
from talkhead.media.audio import Waveform
from talkhead.media.image import read_image
from talkhead.protocols import Drive, Source
from talkhead.systems.meshwarp.articulation import MouthTracks, mouth_tracks
from talkhead.systems.meshwarp.audio2coeff import mouth_to_exp
from talkhead.systems.meshwarp.config import RenderConfig
from talkhead.systems.meshwarp.mouth_net import CHANNELS
from talkhead.systems.meshwarp.render import MeshwarpRenderer
from talkhead.systems.meshwarp.visemes import VISUAL_LEAD_S, Segment, blend

U8 = npt.NDArray[np.uint8]

SENTENCE = "Pete begs me for vast, wide open blue ships; we see ten fathers lately."
# Labels and phoneme classes of the sounds in the order in which the sentence has them.
SOUNDS = (
    ("p", "P"), ("b", "P"), ("m", "P"), ("f", "F"), ("v", "F"), ("w", "W"), ("o", "O"), ("u", "U"), ("sh", "SH"),
    ("s", "S"), ("i", "I"), ("e", "E"), ("a", "A"), ("th", "TH"), ("l", "L"), ("t", "T"),
)  # fmt: skip
FPS = 25.0
COLUMNS, TILE = 9, 168  # tiles per line, their width in pixels


def spoken_visemes(seed: int, *, told: bool) -> Coeffs:
    """Neutral and the sounds of the sentence as the system hears them, or is also told them, one frame each."""
    said = flite.say(SENTENCE, np.random.default_rng(seed))
    if said is None:
        raise SystemExit("flite does not speak")
    samples, rate, segments = said[0], said[1], [Segment(*sound) for sound in said[2]]
    mouth = mouth_tracks(Waveform(samples, rate), FPS, phonemes=segments if told else None)
    times = [sum(segments[i][1:]) / 2 - VISUAL_LEAD_S for i in _found_in_order(segments)]
    frames = np.array([0, *(round(t * FPS) for t in times)])
    return _coeffs(mouth).at(np.clip(frames, 0, len(mouth.open) - 1))


def canonical_visemes() -> Coeffs:
    """Neutral and the sounds as the target table describes them when they are held, one frame each."""
    held = [blend([Segment(name, 0.0, 1.0)], 50, 50.0)[0][25] for _, name in SOUNDS]
    table = np.concatenate([np.zeros((1, len(CHANNELS))), held])
    columns = {f.name: table[:, CHANNELS.index(f.name)].astype(np.float64) for f in fields(MouthTracks)}
    return _coeffs(MouthTracks(**columns))


def _coeffs(mouth: MouthTracks) -> Coeffs:
    model = load_builtin()
    return Coeffs(
        space=model.space.name,
        fps=FPS,
        n_frames=len(mouth.open),
        exp=mouth_to_exp(mouth, model),
        tongue=np.clip(mouth.tongue, 0.0, 1.0).astype(np.float32),
        relative=frozenset({"exp"}),
    )


def mouth_tiles(face: Path, coeffs: Coeffs, size: int) -> list[U8]:
    """The mouth region of one photo under every frame, enlarged to `TILE` pixels."""
    image = read_image(face)
    source = Source(image=image.pixels, landmarks=choose_face(image.pixels, name=face.name), name=face.name)
    renderer = MeshwarpRenderer(source, RenderConfig(size=size, framing="crop"))
    points = renderer.landmarks.points[:, :2]
    reach = 0.5 * float(np.linalg.norm(points[33] - points[263]))
    x, y = points[[13, 14, 17]].mean(0)
    box = (x - reach, y - reach, x + reach, y + 0.95 * reach)
    shape = (TILE, round(TILE * 0.975))
    return [
        np.asarray(Image.fromarray(frame).resize(shape, Image.Resampling.BICUBIC, box))
        for frame in renderer.render(Drive(coeffs=coeffs))
    ]


def sheet(faces: list[list[U8]]) -> Image.Image:
    """Lines of labelled tiles, face after face."""
    labels = ["neutral", *(label for label, _ in SOUNDS)]
    height = faces[0][0].shape[0]
    lines = -(-len(labels) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * TILE, len(faces) * lines * height), "white")
    draw = ImageDraw.Draw(page)
    for row, tiles in enumerate(faces):
        for i, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
            at = (i % COLUMNS * TILE, (row * lines + i // COLUMNS) * height)
            page.paste(Image.fromarray(tile), at)
            draw.text((at[0] + 5, at[1] + 3), label, fill="yellow", stroke_width=2, stroke_fill="black", font_size=18)
    return page


def _found_in_order(segments: list[Segment]) -> list[int]:
    found, start = [], 0
    for label, name in SOUNDS:
        matching = [i for i in range(start, len(segments)) if segments[i].name == name]
        if not matching:
            raise SystemExit(f"no {label} where the sentence should have one")
        found.append(matching[0])
        start = matching[0] + 1
    return found


def main() -> int:
    """Draw the sheet asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--canonical", action="store_true")
    how.add_argument("--told", action="store_true")
    parser.add_argument("--size", type=int, default=512, help="longer side of the frames the mouths are cut from")
    parser.add_argument("--seed", type=int, default=0, help="of the voice")
    args = parser.parse_args()
    coeffs = canonical_visemes() if args.canonical else spoken_visemes(args.seed, told=args.told)
    sheet([mouth_tiles(face, coeffs, args.size) for face in args.faces]).save(args.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

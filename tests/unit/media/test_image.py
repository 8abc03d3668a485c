"""Reading pictures of every kind as upright sRGB."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms

from talkhead.errors import MediaError, OutputExistsError, ShapeError, UsageError
from talkhead.media.image import (
    Image,
    decode_image,
    encode_image,
    encode_png,
    over_white,
    read_image,
    write_image,
)

# Four corners that differ, so that every turn shows.
CORNERS = np.array([[[250, 10, 10], [10, 250, 10]], [[10, 10, 250], [240, 240, 240]]], np.uint8)
BLOCKS = CORNERS.repeat(16, 0).repeat(24, 1)  # 48 wide, 32 high


def corners(pixels: np.ndarray) -> np.ndarray:
    return pixels[[4, 4, -5, -5], [4, -5, 4, -5]].astype(int)


def save(path: Path, picture: PillowImage.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp", "a.jpg"])
def test_what_is_written_is_read(tmp_path: Path, name: str):
    write_image(tmp_path / name, BLOCKS)
    image = read_image(tmp_path / name)
    assert image.size == (48, 32) and image.alpha is None
    assert image.pixels.dtype == np.uint8
    assert np.abs(corners(image.pixels) - corners(BLOCKS)).max() <= (0 if name in ("a.png", "a.bmp", "a.tif") else 6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_marks(tmp_path: Path, orientation: int):
    back = {2: 0, 3: 1, 4: 5, 5: 6, 6: 2, 7: 7, 8: 3}
    methods = [PillowImage.Transpose.FLIP_LEFT_RIGHT, PillowImage.Transpose.ROTATE_180, PillowImage.Transpose.ROTATE_90,
               PillowImage.Transpose.ROTATE_270, None, PillowImage.Transpose.FLIP_TOP_BOTTOM,
               PillowImage.Transpose.TRANSPOSE, PillowImage.Transpose.TRANSVERSE]  # fmt: skip
    stored = PillowImage.fromarray(BLOCKS)
    if orientation > 1 and (method := methods[back[orientation]]) is not None:
        stored = stored.transpose(method)
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    image = read_image(save(tmp_path / "a.jpg", stored, exif=exif, quality=95))
    assert image.size == (48, 32)
    assert np.abs(corners(image.pixels) - corners(BLOCKS)).max() < 12


@pytest.mark.filterwarnings("error")
def test_damaged_orientation_marks_are_ignored(tmp_path: Path):
    file = save(tmp_path / "a.jpg", PillowImage.fromarray(BLOCKS), exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert read_image(file).size == (48, 32)


def test_sixteen_bits_keep_their_tones(tmp_path: Path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for name in ("a.png", "a.tif"):
        pixels = read_image(save(tmp_path / name, PillowImage.fromarray(ramp))).pixels
        assert np.abs(pixels[..., 0].astype(int) - (ramp >> 8)).max() <= 1, name
    colour = np.stack([ramp, ramp[::-1], ramp.T], -1)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in colour)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    deep = tmp_path / "deep.png"
    deep.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))  # fmt: skip
    assert np.abs(read_image(deep).pixels.astype(int) - (colour >> 8)).max() <= 1


def test_floats(tmp_path: Path):
    ramp = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    pixels = read_image(save(tmp_path / "a.tif", PillowImage.fromarray(ramp))).pixels
    assert pixels[0, 0, 0] == 0 and pixels[-1, -1, 0] == 255


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
def test_other_colour_models(tmp_path: Path, mode: str):
    gray = np.full((16, 16), 200, np.uint8)
    source = PillowImage.fromarray(gray).convert("RGB").convert(mode)
    pixels = read_image(save(tmp_path / "a.tif", source)).pixels
    assert pixels.shape == (16, 16, 3)
    assert abs(int(pixels.mean()) - (200 if mode != "1" else int(np.asarray(source.convert("L")).mean()))) <= 3


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path):
    source = PillowImage.fromarray(BLOCKS).convert("CMYK")
    pixels = read_image(save(tmp_path / "a.jpg", source, quality=95)).pixels
    assert np.abs(corners(pixels) - corners(BLOCKS)).max() < 30


def test_profiles_are_converted(tmp_path: Path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = save(tmp_path / "same.png", PillowImage.fromarray(BLOCKS), icc_profile=srgb)
    assert np.abs(read_image(same).pixels.astype(int) - BLOCKS).max() <= 1
    # Red and green change their names in the profile: then they must in the picture.
    swapped = srgb.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    other = save(tmp_path / "swapped.png", PillowImage.fromarray(BLOCKS), icc_profile=swapped)
    assert np.abs(corners(read_image(other).pixels) - corners(BLOCKS[..., [1, 0, 2]])).max() <= 3
    broken = save(tmp_path / "broken.png", PillowImage.fromarray(BLOCKS), icc_profile=b"no profile")
    assert (read_image(broken).pixels == BLOCKS).all(), "a broken profile is ignored"


def test_alpha_is_kept_apart(tmp_path: Path):
    alpha = np.full((32, 48), 255, np.uint8)
    alpha[:8] = 0
    alpha[8:16] = 100
    write_image(tmp_path / "a.png", BLOCKS, alpha)
    image = read_image(tmp_path / "a.png")
    assert image.alpha is not None and (image.alpha == alpha).all()
    assert (image.pixels[:8] == 255).all(), "white under full transparency"
    assert (image.pixels[8:] == BLOCKS[8:]).all(), "colours are not premultiplied"


def test_solid_alpha_is_none(tmp_path: Path):
    write_image(tmp_path / "a.png", BLOCKS, np.full((32, 48), 255, np.uint8))
    assert read_image(tmp_path / "a.png").alpha is None


def test_transparency_of_palettes_and_gray(tmp_path: Path):
    palette = PillowImage.fromarray(BLOCKS).convert("P", palette=PillowImage.Palette.ADAPTIVE, colors=4)
    index = palette.getpixel((2, 2))
    image = read_image(save(tmp_path / "p.png", palette, transparency=index))
    assert image.alpha is not None and image.alpha[2, 2] == 0 and image.alpha[-2, -2] == 255
    gray = PillowImage.fromarray(np.dstack([np.full((4, 4), 9, np.uint8), np.full((4, 4), 128, np.uint8)]), "LA")
    image = read_image(save(tmp_path / "la.png", gray))
    assert image.alpha is not None and (image.alpha == 128).all() and (image.pixels == 9).all()


def test_animations_give_their_first_frame(tmp_path: Path):
    frames = [PillowImage.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read_image(tmp_path / "a.gif").pixels[0, 0] == (255, 0, 0)).all()


def test_a_film_gives_its_first_frame(clip: Path, chirp_wav: Path):
    assert read_image(clip).size == (64, 48)
    with pytest.raises(MediaError, match="no picture"):
        read_image(chirp_wav)


def test_one_pixel(tmp_path: Path):
    write_image(tmp_path / "a.png", np.full((1, 1, 3), 7, np.uint8))
    assert (read_image(tmp_path / "a.png").pixels == 7).all()


@pytest.mark.parametrize("size", [(20000, 20000), (10001, 10000)])
def test_huge_pictures_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]):
    head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    file = tmp_path / "huge.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + head
                     + struct.pack(">I", zlib.crc32(b"IHDR" + head)) + struct.pack(">I", 0) + b"IDAT"
                     + struct.pack(">I", zlib.crc32(b"IDAT")))  # fmt: skip
    with pytest.raises(MediaError, match=r"huge\.png .*100 megapixels"):
        read_image(file)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.gif", "a.bmp"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_pictures_are_refused(tmp_path: Path, name: str, share: float):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    data = io.BytesIO()
    PillowImage.fromarray(noise).save(data, {"jpg": "JPEG", "tif": "TIFF"}.get(name[2:], name[2:].upper()))
    (tmp_path / name).write_bytes(data.getvalue()[: int(len(data.getvalue()) * share)])
    with pytest.raises(MediaError, match=name) as caught:
        read_image(tmp_path / name)
    assert "\n" not in caught.value.message


def test_what_is_no_picture(tmp_path: Path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello " * 100)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100)
    (tmp_path / "a.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    for name in ("empty.png", "text.png", "missing.png", "a.heic", "a.eps"):
        with pytest.raises(MediaError, match=name):
            read_image(tmp_path / name)
    with pytest.raises(MediaError, match="folder"):
        read_image(tmp_path)


def test_writing_needs_a_known_suffix_and_fitting_arrays(tmp_path: Path):
    with pytest.raises(UsageError, match="suffix"):
        write_image(tmp_path / "a.xyz", BLOCKS)
    with pytest.raises(ShapeError):
        write_image(tmp_path / "a.png", BLOCKS[..., 0])
    with pytest.raises(ShapeError):
        write_image(tmp_path / "a.png", BLOCKS, np.zeros((2, 2), np.uint8))
    write_image(tmp_path / "a.png", BLOCKS)
    with pytest.raises(OutputExistsError):
        write_image(tmp_path / "a.png", BLOCKS)
    write_image(tmp_path / "a.png", CORNERS, overwrite=True)
    assert read_image(tmp_path / "a.png").size == (2, 2)


def test_formats_without_alpha_show_white(tmp_path: Path):
    write_image(tmp_path / "a.bmp", BLOCKS, np.zeros((32, 48), np.uint8))
    assert (read_image(tmp_path / "a.bmp").pixels == 255).all()
    half = over_white(np.zeros((1, 1, 3), np.uint8), np.full((1, 1), 128, np.uint8))
    assert half[0, 0, 0] == 127


def test_fast_png_is_lossless():
    picture = PillowImage.open(io.BytesIO(encode_png(BLOCKS)))
    assert (np.asarray(picture) == BLOCKS).all()


def test_pictures_in_memory():
    assert (decode_image(encode_image(BLOCKS, "png"), "png", "x").pixels == BLOCKS).all()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for kind in ("webp", "jpeg"):
        small, large = encode_image(noise, kind, 20), encode_image(noise, kind, 95)
        assert len(small) < len(large) / 2
        errors = [np.abs(decode_image(data, kind, "x").pixels.astype(int) - noise).mean() for data in (small, large)]
        assert errors[1] < errors[0] < 60


def test_pictures_in_memory_that_are_refused():
    for quality in (0, 101):
        with pytest.raises(UsageError, match="quality"):
            encode_image(BLOCKS, "webp", quality)
    with pytest.raises(MediaError, match="use png|cannot make a webp"):
        encode_image(np.zeros((1, 20_000, 3), np.uint8), "webp")
    png = encode_image(BLOCKS, "png")
    for data, kind in ((png, "webp"), (png[: len(png) // 2], "png"), (b"", "png"), (b"GIF89a" + bytes(20), "jpeg")):
        with pytest.raises(MediaError, match="cannot read the picture"):
            decode_image(data, kind, "the picture")


def test_real_pictures(media: Path):
    robot = read_image(media / "faces" / "robot_glasses.png")
    assert robot.size == (512, 640) and isinstance(robot, Image)
    assert read_image(media / "faces" / "photo_moustache_gray.jpg").pixels.shape == (500, 375, 3)

"""Pictures in and out: uint8 RGB whatever the file was; upright, in sRGB, with its transparency kept apart."""

from __future__ import annotations

import contextlib
import importlib
import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageCms, ImageOps, UnidentifiedImageError

from talkhead.errors import MediaError, ShapeError, UsageError
from talkhead.media.output import atomic_output
from talkhead.media.probe import MAX_PIXELS, check_input

U8 = npt.NDArray[np.uint8]

JPEG_QUALITY = 95
# Named one by one: Pillow also opens formats that start other programs (EPS) or are films (MPEG).
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF", "JPEG2000", "PPM", "TGA", "ICO", "PCX",
            "SGI", "PSD", "QOI")  # fmt: skip
_SAVED = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
_WITH_ALPHA = ("PNG", "WEBP", "TIFF")
# What Pillow's readers raise on damaged files.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, RuntimeError,
           struct.error, zlib.error)  # fmt: skip
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@dataclass(frozen=True, slots=True)
class Image:
    """A picture.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, sRGB; white where the picture is wholly transparent.
        alpha: (H, W) uint8, 0 transparent .. 255 solid; None when all of it is solid.
    """

    pixels: U8
    alpha: U8 | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]


def read_image(path: str | Path) -> Image:
    """Read a picture, or the first frame of an animation or film.

    Orientation marks are applied, colour profiles and CMYK become sRGB, 16-bit samples keep their upper 8 bits.

    Args:
        path: a local file.
    Raises:
        MediaError: missing, empty, damaged, of an unknown format, or above 100 megapixels.
    """
    file = check_input(path)
    try:
        with _quiet_pillow(), PillowImage.open(file, formats=_known_formats()) as picture:
            _check_pixels(file, picture.size)
            return _to_image(picture)
    except UnidentifiedImageError:
        return _first_frame(file)
    except PillowImage.DecompressionBombError as error:
        raise MediaError(f"{file} is too large; pictures above 100 megapixels are refused") from error
    except MemoryError as error:
        raise MediaError(f"{file} does not fit in memory") from error
    except _DAMAGE as error:
        raise MediaError(f"cannot read {file}: {_words(error)}") from error


def write_image(path: str | Path, rgb: U8, alpha: U8 | None = None, *, overwrite: bool = False) -> None:
    """Write a picture; the suffix decides the format (png, jpg, webp, bmp, tif).

    Args:
        path: the file. rgb: (H, W, 3) uint8. alpha: (H, W) uint8 or None; formats without transparency show the
            picture on white. overwrite: replace a file that is there.
    Raises:
        ShapeError: the arrays do not fit. UsageError: unknown suffix.
        OutputExistsError, MediaError: as `atomic_output`.
    """
    file = Path(path)
    kind = _SAVED.get(file.suffix.lower())
    if kind is None:
        raise UsageError(
            f"cannot write {file}: no picture format has the suffix {file.suffix!r}", hint="use .png or .jpg"
        )
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ShapeError("rgb", rgb.shape, "(H, W, 3) uint8")
    if alpha is not None and (alpha.shape != rgb.shape[:2] or alpha.dtype != np.uint8):
        raise ShapeError("alpha", alpha.shape, f"{rgb.shape[:2]} uint8")
    if alpha is not None and kind not in _WITH_ALPHA:
        rgb, alpha = over_white(rgb, alpha), None
    pixels = rgb if alpha is None else np.dstack([rgb, alpha])
    options: dict[str, Any] = {"quality": JPEG_QUALITY} if kind in ("JPEG", "WEBP") else {}
    if kind == "JPEG":
        options["subsampling"] = "4:4:4"
    with atomic_output(file, overwrite) as temporary:
        try:
            PillowImage.fromarray(np.ascontiguousarray(pixels)).save(temporary, format=kind, **options)
        except (OSError, ValueError) as error:
            raise MediaError(f"cannot write {file}: {_words(error)}") from error


def encode_image(rgb: U8, kind: Literal["png", "webp", "jpeg"], quality: int = JPEG_QUALITY) -> bytes:
    """A picture file in memory, compressed well rather than fast.

    Args:
        rgb: (H, W, 3) uint8. kind: `png` keeps every bit. quality: of the others, 1 to 100.
    Raises:
        UsageError: quality out of range. MediaError: the format cannot hold so many pixels.
    """
    if not 1 <= quality <= 100:
        raise UsageError(f"picture quality is {quality}, expected 1 to 100")
    options: dict[str, dict[str, Any]] = {
        "png": {"optimize": True},
        "webp": {"quality": quality, "method": 6},
        "jpeg": {"quality": quality, "optimize": True},
    }
    out = io.BytesIO()
    try:
        PillowImage.fromarray(np.ascontiguousarray(rgb)).save(out, format=kind.upper(), **options[kind])
    except (OSError, ValueError) as error:
        raise MediaError(
            f"cannot make a {kind} picture of {rgb.shape[1]}x{rgb.shape[0]}: {_words(error)}", hint="use png"
        ) from error
    return out.getvalue()


def decode_image(data: bytes, kind: Literal["png", "webp", "jpeg"], name: str) -> Image:
    """A picture from the bytes of its file, of this format and no other.

    Args:
        data: the file. kind: its format. name: where it is, for messages.
    Raises:
        MediaError: damaged, another format, or above 100 megapixels.
    """
    try:
        with _quiet_pillow(), PillowImage.open(io.BytesIO(data), formats=[kind.upper()]) as picture:
            _check_pixels(Path(name), picture.size)
            return _to_image(picture)
    except PillowImage.DecompressionBombError as error:
        raise MediaError(f"{name} is too large; pictures above 100 megapixels are refused") from error
    except _DAMAGE as error:
        raise MediaError(f"cannot read {name}: {_words(error)}") from error


def encode_png(rgb: U8) -> bytes:
    """A PNG file of (H, W, 3) uint8 RGB pixels, compressed fast rather than well."""
    import cv2

    done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise MediaError(f"cannot encode a PNG of {rgb.shape[1]}x{rgb.shape[0]} pixels")
    return data.tobytes()


def over_white(rgb: U8, alpha: U8) -> U8:
    """Lay a picture on white.

    Args:
        rgb: (H, W, 3) uint8. alpha: (H, W) uint8.
    """
    weight = alpha[..., None].astype(np.uint16)
    return cast(U8, ((rgb * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8))


def _to_image(picture: PillowImage.Image) -> Image:
    picture.load()
    upright = _upright(picture)
    if upright.mode.startswith("I") or upright.mode == "F":
        return Image(np.repeat(_deep_gray(np.asarray(upright))[..., None], 3, 2))
    has_alpha = upright.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in upright.info
    straight = upright.convert("RGBA") if has_alpha else upright
    alpha = np.asarray(straight.getchannel("A")).copy() if has_alpha else None
    pixels = np.asarray(_to_srgb(straight, picture.info.get("icc_profile"))).copy()
    if alpha is not None and alpha.min() == 255:
        alpha = None
    if alpha is not None:
        # What lies under full transparency is arbitrary: editors leave black, or noise.
        pixels[alpha == 0] = 255
    return Image(pixels, alpha)


def _upright(picture: PillowImage.Image) -> PillowImage.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except _DAMAGE:
        return picture  # the marks are damaged, the picture is not


def _deep_gray(values: npt.NDArray[Any]) -> U8:
    """Gray of more than 8 bits to 8: 16-bit by its upper byte, floats from 0..1 or 0..255."""
    if values.dtype.kind == "f":
        finite = np.nan_to_num(values.astype(np.float32))
        return cast(U8, np.clip(finite * (255 if finite.max(initial=0) <= 1 else 1) + 0.5, 0, 255).astype(np.uint8))
    wide = np.clip(values.astype(np.int64), 0, 65535)
    return cast(U8, (wide >> 8 if wide.max(initial=0) > 255 else wide).astype(np.uint8))


def _to_srgb(picture: PillowImage.Image, profile: bytes | None) -> PillowImage.Image:
    if profile and picture.mode in ("RGB", "RGBA", "CMYK", "L"):
        # A profile that does not fit its picture is common; the plain conversion is then the best guess.
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            flat = picture.convert("RGB") if picture.mode == "RGBA" else picture
            converted = ImageCms.profileToProfile(flat, given, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
    return picture.convert("RGB")


def _known_formats() -> list[str]:
    PillowImage.init()
    return [name for name in _FORMATS if name in PillowImage.OPEN]


def _check_pixels(file: Path, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise MediaError(f"{file} is {size[0]}x{size[1]}; pictures above 100 megapixels are refused")


@contextlib.contextmanager
def _quiet_pillow() -> Any:
    # It warns of sizes below our own limit and of damaged marks that are ignored anyway.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _first_frame(file: Path) -> Image:
    with file.open("rb") as head:
        start = head.read(12)
    if start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS:
        return _read_heic(file)
    from talkhead.media.video import open_clip

    try:
        return Image(open_clip(file).first_frame())
    except MediaError as error:
        raise MediaError(error.message, hint=error.hint or "is it a picture? PNG and JPEG always work") from error


def _read_heic(file: Path) -> Image:
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise MediaError(
            f"cannot read {file}: HEIC pictures need the package pillow-heif",
            hint="save it as JPEG or PNG, or install pillow-heif",
        ) from error
    try:
        with PillowImage.open(file) as picture:
            _check_pixels(file, picture.size)
            return _to_image(picture)
    except _DAMAGE as error:
        raise MediaError(f"cannot read {file}: {_words(error)}") from error


def _words(error: BaseException) -> str:
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
    return str(text)

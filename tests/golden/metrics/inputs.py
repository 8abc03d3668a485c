"""Deterministic inputs of the metric parity cases (numpy only).

Every array is a pure function of a name.  ``golden.json`` lists, under
``inputs``, the CRC-32 of the bytes of each array so that a mismatch in the
input can be told from a mismatch in the metric.
"""

from __future__ import annotations

import zlib

import numpy as np

__all__ = [
    "rng",
    "noise_u8",
    "scene",
    "blur",
    "clip_pair",
    "gray_scene",
    "face68",
    "pose_track",
    "click_track",
    "tone_speech",
    "crc",
    "CASES",
]


def rng(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode("utf-8"))))


def crc(a: np.ndarray) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(a).tobytes()) & 0xFFFFFFFF:08x}"


def noise_u8(name: str, shape) -> np.ndarray:
    return rng(name).integers(0, 256, size=tuple(shape), dtype=np.uint8)


def blur(img: np.ndarray, sigma: float) -> np.ndarray:
    """Separable Gaussian, radius ceil(4 sigma), edge pixels repeated, float64."""
    if sigma <= 0:
        return img.astype(np.float64)
    r = int(np.ceil(4 * sigma))
    x = np.arange(-r, r + 1, dtype=np.float64)
    k = np.exp(-0.5 * (x / sigma) ** 2)
    k /= k.sum()
    out = img.astype(np.float64)
    for axis in (0, 1):
        pad = [(0, 0)] * out.ndim
        pad[axis] = (r, r)
        p = np.pad(out, pad, mode="edge")
        n = out.shape[axis]
        acc = np.zeros_like(out)
        for i, w in enumerate(k):
            acc += w * np.take(p, np.arange(i, i + n), axis=axis)
        out = acc
    return out


def scene(
    name: str, h: int, w: int, sigma: float = 0.0, dx: float = 0.0, contrast: float = 1.0, noise: float = 0.0
) -> np.ndarray:
    """RGB uint8 picture: a slope, ellipses, bars and a checker patch.  ``dx``
    moves the foreground to the right (pixels).  Hard masks first, then the
    blur, then noise."""
    g = rng(name)
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float64)
    img = np.empty((h, w, 3), np.float64)
    for c in range(3):
        a, b, o = g.uniform(-40, 40, 3)
        img[..., c] = 120 + a * xx / w + b * yy / h + o
    for _ in range(9):
        cy, cx = g.uniform(0.1, 0.9, 2)
        ry, rx = g.uniform(0.04, 0.22, 2)
        col = g.uniform(10, 245, 3)
        m = ((yy - cy * h) / (ry * h)) ** 2 + ((xx - dx - cx * w) / (rx * w)) ** 2 < 1
        img[m] = col
    for _ in range(5):
        y0, x0 = g.uniform(0.05, 0.8, 2)
        col = g.uniform(10, 245, 3)
        m = (yy > y0 * h) & (yy < y0 * h + 0.12 * h) & (xx - dx > x0 * w) & (xx - dx < x0 * w + 0.05 * w)
        img[m] = col
    m = ((yy // 6 + xx // 6) % 2 == 0) & (yy > 0.72 * h) & (xx > 0.68 * w)
    img[m] = 230.0
    img = 128 + contrast * (img - 128)
    img = blur(img, sigma)
    if noise > 0:
        img = img + noise * g.standard_normal(img.shape)
    return np.clip(np.rint(img), 0, 255).astype(np.uint8)


def gray_scene(name, h, w, **kw) -> np.ndarray:
    """Luma of ``scene`` with the integer ITU-R 601 rule that Pillow's mode L
    uses: (19595 R + 38470 G + 7471 B + 32768) >> 16."""
    a = scene(name, h, w, **kw).astype(np.int64)
    return ((19595 * a[..., 0] + 38470 * a[..., 1] + 7471 * a[..., 2] + 32768) >> 16).astype(np.uint8)


def clip_pair(t: int = 4, h: int = 96, w: int = 128):
    """(real, fake) uint8 clips, t x h x w x 3; the fake one drifts, is a bit
    blurred and noisy."""
    real = np.stack([scene("clip", h, w, sigma=0.7, dx=1.5 * i) for i in range(t)])
    fake = np.stack([scene("clip", h, w, sigma=1.1 + 0.2 * i, dx=1.5 * i + 0.5 * i, noise=3.0) for i in range(t)])
    return real, fake


def face68(t: int = 30, size: float = 256.0, name: str = "face68"):
    """(real, fake) 68-point tracks, t x 68 x 2 pixels, image axes (y down):
    an elliptic jaw line, brows, nose, eyes and a mouth that opens and closes."""
    g = rng(name)
    s = size / 256.0
    base = np.zeros((68, 2))
    a = np.linspace(np.pi, 0, 17)
    base[0:17] = np.c_[128 + 70 * np.cos(a), 120 + 85 * np.sin(a)]
    base[17:22] = np.c_[np.linspace(72, 112, 5), [98, 92, 90, 92, 96]]
    base[22:27] = np.c_[np.linspace(144, 184, 5), [96, 92, 90, 92, 98]]
    base[27:31] = np.c_[np.full(4, 128), np.linspace(108, 140, 4)]
    base[31:36] = np.c_[np.linspace(114, 142, 5), [148, 151, 153, 151, 148]]
    base[36:42] = [[82, 112], [90, 107], [100, 107], [108, 113], [100, 116], [90, 116]]
    base[42:48] = [[148, 113], [156, 107], [166, 107], [174, 112], [166, 116], [156, 116]]
    base[48:55] = np.c_[np.linspace(102, 154, 7), [174, 169, 166, 168, 166, 169, 174]]
    base[55:60] = np.c_[np.linspace(146, 110, 5), [181, 185, 187, 185, 181]]
    base[60:65] = np.c_[np.linspace(106, 150, 5), [174, 172, 173, 172, 174]]
    base[65:68] = np.c_[[138, 128, 118], [177, 178, 177]]
    lower = [55, 56, 57, 58, 59, 65, 66, 67]
    chin = [6, 7, 8, 9, 10]

    def track(phase, amp, sway):
        out = np.repeat(base[None], t, 0)
        for i in range(t):
            o = amp * max(0.0, np.sin(2 * np.pi * i / 10 + phase))
            out[i, lower, 1] += o
            out[i, chin, 1] += 0.6 * o
            th = sway * np.sin(2 * np.pi * i / 30)
            c, n = np.cos(th), np.sin(th)
            r = out[i] - [128.0, 128.0]
            out[i] = r @ np.array([[c, n], [-n, c]]) + [128.0 + 4 * np.sin(i / 7), 128.0]
        return out * s

    real = track(0.0, 14.0, 0.05) + 0.15 * s * g.standard_normal((t, 68, 2))
    fake = track(0.4, 11.0, 0.03) + 0.25 * s * g.standard_normal((t, 68, 2)) + [1.5 * s, -2.0 * s]
    return real, fake


def pose_track(name: str, t: int = 200, fps: float = 25.0) -> np.ndarray:
    """t x 3 pitch, yaw, roll in degrees: three slow sines per angle."""
    g = rng(name)
    tt = np.arange(t) / fps
    out = np.zeros((t, 3))
    for c, a in enumerate((4.0, 7.0, 2.5)):
        for f in (0.3, 0.7, 1.6):
            out[:, c] += (
                a * g.uniform(0.3, 1.0) * np.sin(2 * np.pi * (f * g.uniform(0.8, 1.2) * tt + g.uniform())) / (1 + f)
            )
    return out


def click_track(seconds: float = 8.0, sr: int = 16000, name: str = "clicks"):
    """(float32 waveform, click times): 12 ms decaying clicks on a weak hiss."""
    g = rng(name)
    n = int(seconds * sr)
    y = 0.001 * g.standard_normal(n)
    times, at = [], 0.35
    while at < seconds - 0.3:
        times.append(at)
        i = int(round(at * sr))
        m = int(0.012 * sr)
        y[i : i + m] += 0.6 * np.exp(-np.arange(m) / (0.003 * sr)) * np.sin(2 * np.pi * 1500 * np.arange(m) / sr)
        at += float(g.uniform(0.28, 0.65))
    return y.astype(np.float32), np.array(times)


def tone_speech(t_video: int = 100, fps: float = 25.0, sr: int = 16000, lag_frames: float = 0.0, name: str = "lag"):
    """(mouth opening per video frame, float32 waveform).  Syllable-like bumps
    modulate a 150 Hz pulse-like tone; the mouth follows the same bumps shifted
    by ``lag_frames`` (positive: the picture is late)."""
    g = rng(name)
    centres, at = [], 0.3
    while at < t_video / fps - 0.2:
        centres.append((at, float(g.uniform(0.5, 1.0)), float(g.uniform(0.045, 0.08))))
        at += float(g.uniform(0.18, 0.42))

    def env(x):
        e = np.zeros_like(x)
        for c, a, w in centres:
            e += a * np.exp(-0.5 * ((x - c) / w) ** 2)
        return e

    ta = np.arange(int(t_video / fps * sr)) / sr
    carrier = sum(np.sin(2 * np.pi * 150 * k * ta) / k for k in range(1, 9))
    wav = 0.12 * env(ta) * carrier + 0.0005 * g.standard_normal(ta.size)
    tv = (np.arange(t_video) + 0.5) / fps  # frame t covers [t, t+1) / fps
    mouth = 0.02 + 0.25 * env(tv - lag_frames / fps) + 0.004 * g.standard_normal(t_video)
    return mouth, wav.astype(np.float32)


CASES = {
    "cpbd_sharp_256": dict(h=256, w=256, sigma=0.0),
    "cpbd_blur08_256": dict(h=256, w=256, sigma=0.8),
    "cpbd_blur16_256": dict(h=256, w=256, sigma=1.6),
    "cpbd_blur30_256": dict(h=256, w=256, sigma=3.0),
    "cpbd_lowcontrast_256": dict(h=256, w=256, sigma=0.6, contrast=0.12),
    "cpbd_odd_200x264": dict(h=200, w=264, sigma=1.0),
    "cpbd_noisy_256": dict(h=256, w=256, sigma=1.0, noise=6.0),
}

"""Pixels -> 2-D facts about faces."""

HEAD_MARGIN = 100 / 156
"""How much longer the side of HeadGAN's crops is than the face's box is high (published code)."""

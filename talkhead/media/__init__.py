"""Pictures, sound and video in and out: the only package that starts ffmpeg."""

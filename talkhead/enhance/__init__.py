"""Frames -> better frames: faces restored, pictures enlarged; for what any system renders."""

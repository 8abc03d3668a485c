"""Outputs that appear under their final name only when complete; shared with the packages beside this one."""

from talkhead.files import atomic_output, check_output

__all__ = ["atomic_output", "check_output"]

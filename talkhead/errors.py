"""The error family: every failure a user can cause or mend has a class here, with its exit code.

Codes are the contract of docs/exit-codes.md. Anything that is not a `TalkheadError` is a bug (exit code 1).
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class TalkheadError(Exception):
    """Base of all errors talkhead raises on purpose.

    Args:
        message: one line: what is wrong, in which file, with the offending value.
        hint: what to do next, one line; shown after the message.
    """

    exit_code = EXIT_BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(TalkheadError):
    """Options that do not go together, or an argument out of range."""

    exit_code = EXIT_USAGE


class InputError(TalkheadError):
    """The user's file is missing, broken or unsuitable."""

    exit_code = 3


class MediaError(InputError):
    """A picture, sound or video cannot be read or written."""


class OutputExistsError(InputError):
    """The output is already there and `--overwrite` was not given."""


class FaceNotFoundError(InputError):
    """No face where one is needed."""


class FaceChoiceError(InputError):
    """Several faces and no way to tell which one is meant, or an index that does not exist."""


class SpeechNotFoundError(InputError):
    """No speech in a sound where speech is needed."""


class CoeffFileError(InputError):
    """A coefficient file breaks the format (docs/coefficient-file.md), or its space does not fit."""


class CompressedStreamError(InputError):
    """A compressed stream breaks the format (docs/compressed-stream.md): cut off, altered, or of a newer version."""


class DivergedError(InputError):
    """Training cannot go on: a loss term or a gradient is not finite any more."""


class ShapeError(InputError):
    """An array does not have the shape a public function asks for."""

    def __init__(self, name: str, actual: tuple[int, ...], expected: str) -> None:
        super().__init__(f"{name} has shape {actual}, expected {expected}")
        self.actual_shape = actual
        self.expected_shape = expected


class WeightsError(TalkheadError):
    """Weights are missing, damaged, of another system, or wait for a licence answer."""

    exit_code = 4


class EnvironmentProblem(TalkheadError):
    """The machine lacks something: a device, memory, an optional package."""

    exit_code = 5


class PartialFailure(TalkheadError):
    """A batch ended and some of its jobs failed."""

    exit_code = 6

"""talkhead: a photo and a voice become a video of that person speaking.

Every command of the `talkhead` program is a function here with the same name and words; see `__all__`. The functions
are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from talkhead.coeffs.container import Coeffs
    from talkhead.coeffs.file import CoeffReader, read_coeffs, write_coeffs
    from talkhead.errors import TalkheadError
    from talkhead.evaluation.evaluation import Evaluation
    from talkhead.pipelines.animate import animate
    from talkhead.pipelines.audio2coeff import audio2coeff
    from talkhead.pipelines.compress import CompressResult, compress
    from talkhead.pipelines.config import Result
    from talkhead.pipelines.decompress import decompress
    from talkhead.pipelines.edit import edit, edit_photo
    from talkhead.pipelines.evaluate import compare_runs, evaluate
    from talkhead.pipelines.extract import extract
    from talkhead.pipelines.frontalize import frontalize, frontalize_coeffs
    from talkhead.pipelines.pose import pose
    from talkhead.pipelines.reenact import reenact
    from talkhead.pipelines.render import render
    from talkhead.pipelines.verify import verify
    from talkhead.training.config import PrepareConfig
    from talkhead.training.index import TrainingSet
    from talkhead.training.prepare import prepare
    from talkhead.training.train import TrainResult, train

__all__ = [
    "CoeffReader",
    "Coeffs",
    "CompressResult",
    "Evaluation",
    "PrepareConfig",
    "Result",
    "TalkheadError",
    "TrainResult",
    "TrainingSet",
    "animate",
    "audio2coeff",
    "compare_runs",
    "compress",
    "decompress",
    "edit",
    "edit_photo",
    "evaluate",
    "extract",
    "frontalize",
    "frontalize_coeffs",
    "pose",
    "prepare",
    "read_coeffs",
    "reenact",
    "render",
    "train",
    "verify",
    "write_coeffs",
]

_HOMES = {
    "CoeffReader": "coeffs.file",
    "Coeffs": "coeffs.container",
    "CompressResult": "pipelines.compress",
    "Evaluation": "evaluation.evaluation",
    "PrepareConfig": "training.config",
    "Result": "pipelines.config",
    "TalkheadError": "errors",
    "TrainResult": "training.train",
    "TrainingSet": "training.index",
    "compare_runs": "pipelines.evaluate",
    "edit_photo": "pipelines.edit",
    "frontalize_coeffs": "pipelines.frontalize",
    "prepare": "training.prepare",
    "read_coeffs": "coeffs.file",
    "train": "training.train",
    "write_coeffs": "coeffs.file",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'talkhead' has no attribute {name!r}")
    home = importlib.import_module(f"talkhead.{_HOMES.get(name, f'pipelines.{name}')}")
    value = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

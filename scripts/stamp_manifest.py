"""Write size and sha256 of the bundled files into weights_manifest.yaml: run it after rebuilding one of them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]


def stamp(text: str, package: Path) -> str:
    """The manifest's text with fresh numbers for each `path:` under `bundled`; all else stays as it is."""

    def fresh(entry: re.Match[str]) -> str:
        data = (package / entry["path"]).read_bytes()
        return f'{entry["head"]}{len(data)}{entry["middle"]}"{hashlib.sha256(data).hexdigest()}"'

    pattern = r'(?P<head> path: (?P<path>\S+)\n +size: )\d+(?P<middle>\n +sha256: )"?[0-9a-f]*"?'
    return re.sub(pattern, fresh, text)


if __name__ == "__main__":
    manifest = REPO / "weights_manifest.yaml"
    manifest.write_text(stamp(manifest.read_text(encoding="utf-8"), REPO / "talkhead"), encoding="utf-8")

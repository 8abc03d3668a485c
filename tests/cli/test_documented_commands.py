"""Every command line and Python example in README.md, docs/ and examples/ is one that works."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import talkhead
from talkhead.cli.aliases import normalized
from talkhead.cli.app import app

REPO = Path(__file__).resolve().parents[2]
PAGES = sorted([REPO / "README.md", *(REPO / "docs").glob("*.md"), *(REPO / "examples").glob("*.md")])
SCRIPTS = sorted((REPO / "examples").glob("*.sh"))


def code_blocks(page: Path, *languages: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language in languages]


def shell_commands(text: str, program: str) -> list[list[str]]:
    """Argument lists of every call of `program`: comments dropped, lines joined, pipes and && taken apart."""
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"([|&])\s*\n", r"\1 ", text)
    commands = []
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split = True
        words: list[str] = []
        redirected = False
        for word in [*lexer, ";"]:
            if word[:1] in tuple("|&;()"):
                if words and words[0] == program:
                    commands.append(words[1:])
                words = []
            elif not redirected and word[:1] not in tuple("<>"):
                words.append(word)
            redirected = word[:1] in tuple("<>")
    return commands


def all_commands(program: str) -> list[tuple[str, list[str]]]:
    texts = [(page.name, block) for page in PAGES for block in code_blocks(page, "sh", "bash", "console")]
    texts += [(script.name, script.read_text(encoding="utf-8")) for script in SCRIPTS]
    return [(name, command) for name, text in texts for command in shell_commands(text, program)]


@pytest.mark.parametrize(
    ("where", "argv"), all_commands("talkhead"), ids=lambda v: v if isinstance(v, str) else " ".join(v)[:60]
)
def test_command_parses(where, argv):
    """The parser accepts the command, options and values, without running it."""
    group: Any = get_command(app)
    name, *rest = normalized(argv)
    if name.startswith("-"):
        return
    command = group.get_command(group.make_context("talkhead", [name], resilient_parsing=True), name)
    assert command is not None, f"{where}: no command {name}"
    command.make_context(name, rest)


def test_there_are_commands_to_check():
    assert len(all_commands("talkhead")) >= 10


@pytest.mark.parametrize(
    ("where", "argv"), all_commands("make"), ids=lambda v: v if isinstance(v, str) else " ".join(v)
)
def test_make_target_exists(where, argv):
    targets = re.findall(r"^([a-z]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {word for word in argv if "=" not in word and word.isalpha()} <= set(targets), where


@pytest.mark.parametrize("page", [page for page in PAGES if code_blocks(page, "python")], ids=lambda page: page.name)
def test_python_names_exist(page):
    """`talkhead.something` in an example is something that talkhead offers."""
    for block in code_blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "talkhead":
                assert hasattr(talkhead, node.attr), f"{page.name}: talkhead.{node.attr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'<img[^>]+src="([^"]+)"', text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name}: {target}"

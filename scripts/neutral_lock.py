#!/usr/bin/env python3
"""Make `uv.lock` name no package index: versions stay, download addresses and index URLs go.

uv keeps the versions of a neutral lock as preferences and fills the rest in again on the first `uv sync`.

    scripts/neutral_lock.py             read a lock on stdin, write it neutral on stdout (the git clean filter)
    scripts/neutral_lock.py --check     exit 1 if the lock that git holds (its index) names a host
    scripts/neutral_lock.py --install   set the clean filter up in this clone, so that a filled lock never looks dirty
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "uv.lock"
NEUTRAL_SOURCE = 'source = { registry = "." }'
HOST = re.compile(r"[a-z]+://|/simple\b")


def neutral(text: str) -> str:
    """The lock without addresses: no sdist, no wheels, no index, no metadata of the project itself."""
    text = re.sub(r'source = \{ registry = "[^"]*" \}', NEUTRAL_SOURCE, text)
    text = re.sub(r"^sdist = \{.*\}\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^wheels = \[\n(?:    .*\n)*\]\n", "", text, flags=re.MULTILINE)
    # Without its requirements uv re-resolves instead of trusting a lock that has no wheels.
    text = re.sub(r"^\[package\.metadata\]\n(?:(?!\[\[package\]\]).*\n?)*", "", text, flags=re.MULTILINE)
    return text.rstrip("\n") + "\n"


def check() -> int:
    """Exit code 1, and the first offending lines, if the committed lock names a host."""
    shown = subprocess.run(["git", "show", ":uv.lock"], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode:
        print("uv.lock is not in git's index: git add uv.lock", file=sys.stderr)
        return 1
    bad = [f"uv.lock:{n}: {line}" for n, line in enumerate(shown.stdout.splitlines(), 1) if HOST.search(line)]
    for line in bad[:5]:
        print(line, file=sys.stderr)
    if bad:
        print(
            f"uv.lock names a host on {len(bad)} lines: run scripts/neutral_lock.py --install and git add uv.lock",
            file=sys.stderr,
        )
    return 1 if bad else 0


def install() -> int:
    """Register the clean filter that .gitattributes names, in this clone only."""
    command = "python3 scripts/neutral_lock.py"
    subprocess.run(["git", "config", "filter.neutral-lock.clean", command], cwd=ROOT, check=True)
    subprocess.run(["git", "config", "filter.neutral-lock.smudge", "cat"], cwd=ROOT, check=True)
    subprocess.run(["git", "config", "filter.neutral-lock.required", "true"], cwd=ROOT, check=True)
    return 0


def main(argv: list[str]) -> int:
    """Dispatch on the one option."""
    if argv == ["--check"]:
        return check()
    if argv == ["--install"]:
        return install()
    if argv:
        print(__doc__, file=sys.stderr)
        return 2
    sys.stdout.write(neutral(sys.stdin.read()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""Folders of this repository's pages and of the committed records."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS, KEPT = ROOT / "docs", ROOT / "baselines" / "results"

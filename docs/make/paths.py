"""Where the pages of this repository and the records behind them lie."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS, KEPT = ROOT / "docs", ROOT / "baselines" / "results"

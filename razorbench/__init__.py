"""RazorBench: how much do robot policies forget, and can it be predicted?"""

from pathlib import Path

__version__ = "0.1.0"

# In a checkout envs/, baselines/ and conf/ lie beside this package; in a wheel they are inside it.
_ROOT = Path(__file__).resolve().parents[1]
if (_ROOT / "pyproject.toml").is_file() and (_ROOT / "envs").is_dir():
    __path__.append(str(_ROOT))

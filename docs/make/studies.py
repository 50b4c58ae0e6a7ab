"""Does the controlled studies and writes their pages, docs/studies: `python docs/make/studies.py`; five minutes."""

import shutil

from paths import DOCS, KEPT, ROOT

from razorbench.commands import study


def main() -> None:
    """Write both pages."""
    for name in ("parity", "projection"):
        study.command([f"study={name}", f"results={ROOT / 'build'}"])
        made, page = ROOT / "build" / "studies" / name, DOCS / "studies" / name
        page.mkdir(parents=True, exist_ok=True)
        for picture in made.glob("*.png"):
            shutil.copy(picture, page)
        shutil.copy(made / "report.md", page / "README.md")
    shutil.copy(ROOT / "build" / "studies" / "projection" / "distance.csv", KEPT / "studies" / "projection")


if __name__ == "__main__":
    main()

"""The conf folders: the shipped one and a user's own, if any."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra

from razorbench.errors import UsageError
from razorbench.identity.catalog import own_folder
from razorbench.registry.overrides import quoted
from razorbench.store.disk import near


class Folders:
    """The folders of the registry's yaml files. Raises UsageError for a user's file that Hydra would ignore."""

    def __init__(self, own: str | None) -> None:
        self.finding, self._own = finding(own), Path(own) if own else None
        self._refuse_misplaced()

    @property
    def own(self) -> str | None:
        """Absolute path of the user's own folder."""
        return None if self._own is None else str(self._own.absolute())

    def names(self, group: str) -> list[str]:
        """Return the names in a group, including a user's own."""
        ours = GlobalHydra.instance().config_loader().get_group_options(group)
        theirs = [path.stem for path in self._own.joinpath(group).glob("*.yaml")] if self._own else []
        return sorted({name for name in (*ours, *theirs) if not name.startswith("_")})

    def undecodable(self) -> str:
        """Return the path of the user's first file that is not UTF-8 text."""
        for path in sorted(self._own.rglob("*.yaml")) if self._own else ():
            try:
                path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                return str(near(path.absolute()))
        return "a configuration file"

    def _refuse_misplaced(self) -> None:
        """Raise UsageError for a user's file that Hydra would silently ignore: it ends in .yml, or has the name of a shipped file."""
        conf = files("razorbench.conf")
        for path in sorted(self._own.rglob("*.y*ml")) if self._own else ():
            inside = path.relative_to(str(self._own))
            if path.suffix == ".yml":
                raise UsageError(f"{near(path.absolute())}: configuration files end in .yaml; rename it to {path.stem}.yaml")
            if conf.joinpath(*inside.parts).is_file():
                raise UsageError(f"{near(path.absolute())}: RazorBench ships {inside.with_suffix('')} and would read that one; rename yours")


def finding(searchpath: str | None) -> list[str]:
    """Return the override that lets Hydra find a user's own conf folder; empty without one."""
    if searchpath is None:
        return []
    place = quoted("", f"file://{own_folder(searchpath).resolve()}")[1:].replace("\\${", "${")  # Hydra does not interpolate here
    return [f"hydra.searchpath=[{place}]"]

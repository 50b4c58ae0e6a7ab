"""Meta-World's tasks where its package is missing: they are listed and identified, and say what is missing once they are to be played."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
from conftest import razorbench

from razorbench.envs.metaworld import scene as there
from razorbench.envs.metaworld.specs import SPECS
from razorbench.envs.metaworld.world import make
from razorbench.errors import UsageError
from razorbench.registry import config
from razorbench.task import Split
from razorbench.world.engine import engine_for

MISSING = "Meta-World's tasks need the package metaworld, which is not installed: pip install razorbench[metaworld]"


@pytest.fixture
def installed(monkeypatch):
    """Sets the version of the package that is installed, None for no package."""

    def set_to(found):
        def version(name):
            if found is None:
                raise PackageNotFoundError(name)
            return found

        monkeypatch.setattr(there, "version", version)
        there.scene.cache_clear()
        there._package.cache_clear()

    yield set_to
    there.scene.cache_clear()
    there._package.cache_clear()


def test_a_task_is_played_by_the_package_alone(installed):
    installed(None)
    task = make("mw_push-v1")
    assert len(task.fingerprint()) == 64
    for play in (lambda: task.starts(Split.TEST, np.arange(2)), lambda: engine_for([task], 2, 1).observe(np.arange(2))):
        with pytest.raises(UsageError) as caught:
            play()
        assert str(caught.value) == MISSING


def test_another_version_is_refused(installed):
    installed("2.0.0")
    with pytest.raises(UsageError, match=r"metaworld 2.0.0 is installed, and Meta-World's tasks are those of 3.0.0 and 3.1.1: pip install"):
        make("mw_push-v1").starts(Split.TEST, np.arange(2))


@pytest.mark.parametrize("words", [("pretrain", "base=mw"), ("check", "mw_push")])
def test_commands_say_so_in_one_sentence(installed, capsys, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    installed(None)
    code, _, err = razorbench(capsys, *words)
    assert (code, err) == (2, f"razorbench: {MISSING}\n")


def test_what_is_listed_and_built_needs_no_package(installed, capsys):
    installed(None)
    code, out, err = razorbench(capsys, "list")
    assert (code, err) == (0, "")
    assert re.search(r"^  mw_push +Meta-World: push the puck to a place on the table\.$", out, re.MULTILINE)
    with config.registry() as known:
        skills = known.item("base", "mw").skills
    assert {skill.world.version for skill in skills.values()} == {"metaworld-1"}


def test_nothing_of_the_package_is_imported_before_a_task_is_played():
    code = "import sys; from razorbench.envs.metaworld.world import make; make('mw_push-v1').fingerprint(); print('metaworld' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_task_that_is_none_is_refused():
    with pytest.raises(UsageError, match=r"id is 'mw_pusch-v1': Meta-World has no such task \(did you mean mw_push-v1\?\)"):
        make("mw_pusch-v1")


def test_every_task_has_a_slot_of_its_own():
    assert [make(f"mw_{name}-v1").slot for name in SPECS] == list(range(50))

"""Wrong commands: each ends in one clear sentence and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import TINY, razorbench


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


WRONG = {
    "no arguments": ([], None),
    "unknown command": (["lst"], "lst: no such command (did you mean list?); there are list, doctor, pretrain"),
    "unknown option of a command": (["report", "x", "--out", "y", "--buget", "quick"], "unrecognized arguments: --buget quick (did you mean --budget?)"),
    "unknown choice": (["compare", "x", "ppo", "sft", "--by", "retention@bset"], "(did you mean retention@best?)"),
    "unknown option of a run": (["task=pick_place", "method=ppo", "--huors", "3"], "--huors: not understood (did you mean --hours?)"),
    "unknown task": (["task=pick_plce", "method=ppo"], "task=pick_plce: no such task (did you mean pick_place?); there are button_side, carry_weak"),
    "unknown suite": (["-m", "task=coer", "method=ppo"], "no such task (did you mean core?); there are button_side"),
    "unknown method": (["task=pick_place", "method=pp0"], "method=pp0: no such method (did you mean ppo?); there are dagger, ewc, frozen"),
    "method in capitals": (["task=pick_place", "method=PPO"], "method=PPO: no such method (did you mean ppo?)"),
    "unknown upstream": (["task=pick_place", "method=sft_rl", "method@method.upstream=pp_kl"], "no such method (did you mean ppo_kl?)"),
    "unknown base": (["task=pick_place", "method=ppo", "base=cnn"], "base=cnn: no such base; there are mlp, mlp_large, mlp_small, mw, tokens"),
    "nearly a base": (["task=pick_place", "method=ppo", "base=token"], "base=token: no such base (did you mean tokens?)"),
    "unknown budget": (["task=pick_place", "method=ppo", "budget=standart"], "(did you mean standard?); there are long, quick, standard"),
    "unknown experiment": (["-m", "+experiment=razr_core"], "no such experiment (did you mean razor_core?); there are ladder"),
    "unknown launcher": (["task=pick_place", "method=ppo", "hydra/launcher=jolib"], "(did you mean joblib?); there are basic, joblib"),
    "unknown tracker": (["task=pick_place", "method=ppo", "track=wnadb"], "track=wnadb: no such tracker (did you mean wandb?)"),
    "nearly a style": (["task=pick_place", "method=sft", "demos=detuor"], "pick_place-v1 has no such demonstration style (did you mean detour?)"),
    "nearly a style for demos": (["demos", "pick_place", "--style", "detuor"], "no such demonstration style (did you mean detour?)"),
    "all about a wrong name": (["list", "mned"], "mned: nothing has that name (did you mean mend?)"),
    "list of a setting": (["list", "method=sft"], "ask for settings as in `razorbench list --keys method=sft`"),
    "keys of a name": (["list", "--keys", "mend"], "mend: not understood"),
    "unknown style": (["task=pick_place", "method=sft", "demos=zigzag"], "direct, detour"),
    "a suite without -m": (["task=core", "method=ppo"], "a suite is several runs and needs -m"),
    "unknown sequence": (["sequence=core7", "method=ppo"], "there are core6, core6_mixed, core6_reversed, full12"),
    "a sequence and a task": (["sequence=core6", "task=stack", "method=ppo"], "exclude each other"),
    "a style that one task of a sequence lacks": (
        ["sequence=core6", "method=sft", "demos=scoop"],
        "demos=scoop: pick_place-v1 has no such demonstration style; there are direct, detour",
    ),
    "odd instruction": (["task=stack", "method=ppo", "task.instruction=mine"], "it must be own or shared"),
    "check without a name": (["check"], "the following arguments are required: name"),
    "check of an unknown task": (["check", "stak"], "stak: no such task, skill or method (did you mean stack?); there are"),
    "check of a task with settings": (["check", "stack", "method.epochs=2"], "method.epochs=2: settings are for methods, and stack is a task; leave them out"),
    "check of a method with other settings": (["check", "sft", "task=stack"], "task=stack: a method's check takes settings of the method and its budget only"),
    "check of a method's golden": (["check", "sft", "--golden", "x"], "--golden=x: it is for tasks, and sft is a method; leave it out"),
    "check of an unknown skill": (["check", "lever_pul"], "(did you mean lever_pull?); there are"),
    "video of nothing": (["video"], "needs a run's folder, or --gallery"),
    "video of both": (["video", "here", "--gallery"], "needs a run's folder, or --gallery"),
    "bench of a sequence": (["bench", "~task", "sequence=core6"], "bench measures one run"),
    "no method": (["task=pick_place"], "method is missing"),
    "no task": (["method=ppo"], "task is missing"),
    "typo in a key": (["task=pick_place", "method=ppo", "seeed=1"], "seeed: no such key in the configuration (did you mean seed?); there are task, sequence"),
    "a method's key at the top": (["task=pick_place", "method=ppo", "lr=1"], "lr: no such key in the configuration (did you mean method.learning_rate?)"),
    "typo in a method's key": (
        ["task=pick_place", "method=ppo", "method.learnin_rate=1"],
        "method.learnin_rate: no such setting of method=ppo (did you mean learning_rate?); there are learning_rate, num_envs",
    ),
    "a method's key, short": (
        ["task=pick_place", "method=ppo", "method.lr=1"],
        "no such setting of method=ppo (did you mean learning_rate?); there are learning_rate",
    ),
    "a method's key before the method": (["method.clip=1", "task=stack", "method=ppo"], "no such setting of method=ppo (did you mean clip_range?)"),
    "a method's key without one": (["task=stack", "method.lr=1"], "method.lr: no method is given, so it has no settings; write method=NAME as well"),
    "an upstream method's key": (["task=stack", "method=sft_rl", "method.upstream.lr=1"], "no such setting of method.upstream (did you mean learning_rate?)"),
    "typo in eval": (["task=stack", "method=ppo", "eval.snapshot=1"], "no such setting of eval (did you mean snapshots?); there are snapshots, episodes"),
    "typo in a budget": (["task=stack", "method=ppo", "budget.envsteps=1"], "no such setting of budget=standard (did you mean env_steps?)"),
    "typo in a task's key": (["task=stack", "method=ppo", "task.instructions=own"], "no such setting of task=stack (did you mean instruction?)"),
    "typo beside another": (["task=stack", "method=ppo", "seeed=1", "method.lr=1"], "did you mean"),
    "a setting of a value": (["task=stack", "method=ppo", "seed.x=1"], "seed.x: seed is one value and has no settings; write seed=..."),
    "added unknown key": (["task=stack", "method=ppo", "+methd.lr=1"], "methd.lr: no such key in the configuration (did you mean method?)"),
    "added unknown setting": (["task=pick_place", "method=ppo", "+method.speed=1"], "method.speed: no such setting; there are batch_size"),
    "added setting of a task": (
        ["task=stack", "method=ppo", "+task.instructoin=1"],
        "task.instructoin: no such setting (did you mean instruction?); there are easy, id",
    ),
    "word for a number": (["task=pick_place", "method=ppo", "method.learning_rate=fast"], "method.learning_rate is 'fast': it must be a number"),
    "fraction for a whole number": (["task=pick_place", "method=ppo", "method.num_envs=1.5"], "it must be a whole number"),
    "seed is a word": (["task=pick_place", "method=ppo", "seed=one"], "seed is 'one'"),
    "negative seed": (["task=pick_place", "method=ppo", "seed=-1"], "seed is -1"),
    "negative budget": (["task=pick_place", "method=ppo", "budget.env_steps=-5"], "budget.env_steps is -5"),
    "zero budget": (["task=pick_place", "method=sft", "budget.demo_episodes=0"], "budget.demo_episodes is 0"),
    "negative learning rate": (["task=pick_place", "method=sft", "method.learning_rate=-1"], "must be positive"),
    "no snapshots": (["task=pick_place", "method=sft", "eval.snapshots=0"], "eval.snapshots is 0"),
    "too many episodes": (["task=pick_place", "method=sft", "eval.episodes=101"], "between 1 and 100"),
    "odd reward": (["task=pick_place", "method=ppo", "task.reward=dense"], "it must be sparse or shaped"),
    "a number that is none": (["task=pick_place", "method=sft", "method.learning_rate=nan"], "method.learning_rate is nan: it must be a finite number"),
    "infinity": (["task=pick_place", "method=sft", "method.learning_rate=inf"], "method.learning_rate is inf: it must be a finite number"),
    "a number too large": (["task=pick_place", "method=sft", "method.max_grad_norm=1e400"], "method.max_grad_norm is inf: it must be a finite number"),
    "no number of hours": (["-m", "task=core", "method=sft", "--hours", "nan"], "--hours nan: it must be a positive number of hours"),
    **{f"{group} is null": ([f"{group}=null", "seed=0"], f"{group}=null: it must be a name; there are") for group in ("task", "method", "base", "budget")},
    "a list for a method": (["task=pick_place", "method=[sft]"], "method=[sft]: it must be a name"),
    "a mapping for a method": (["task=pick_place", "method={a:1}"], "method={a:1}: it must be a name"),
    "eval is null": (["task=pick_place", "method=sft", "eval=null"], "eval is null: it holds settings; leave it out"),
    "a resolver": (["task=pick_place", "method=sft", "seed=${oc.env:HOME}"], "seed: the value of ${name:...} may differ between jobs"),
    "a reference to nothing": (["task=pick_place", "method=sft", "seed=${nothing}"], "seed: Interpolation key 'nothing' not found"),
    "empty results": (["task=pick_place", "method=sft", "results="], "results=: the path is empty"),
    "a reference in a path": (["task=pick_place", "method=sft", "results=${seed}"], "a path cannot contain ${...}"),
    "demonstrations in another format": (["task=pick_place", "method=sft", "demos=mine.npz"], "demonstrations come in a .safetensors file"),
    "no such demonstrations": (["task=pick_place", "method=sft", "demos=a=b.safetensors"], "demos=a=b.safetensors: there is no such file"),
    **{
        f"no such config dir for {words[0]}": ([*words, "--config-dir", "nowhere"], "--config-dir nowhere: no such folder")
        for words in (
            *(["list"], ["check", "stack"], ["demos", "stack"], ["tune", "sft"], ["video", "x"], ["pretrain"], ["study=parity"]),
            *(["compare", "x", "a", "b"], ["claims", "x"], ["report", "x", "--out", "y"]),
        )
    },
    "several values without -m": (["task=pick_place", "method=ppo,sft"], "need -m"),
    "broken override": (["task=pick_place", "method=ppo", "a=[1"], "key=value"),
    "stray word": (["task=pick_place", "ppo"], "ppo: not understood"),
    "stray option": (["task=pick_place", "method=ppo", "--fast"], "--fast: not understood"),
    "a number for a list": (["study=parity", "study.seeds=3"], "it must be a list, as in [3]"),
    "no such config dir": (["--config-dir", "nowhere", "task=pick_place", "method=ppo"], "no such folder"),
    "unwritable results": (["task=pick_place", "method=ppo", "results=blocked/x"], "choose a writable folder"),
    "list with a stray word": (["list", "everything"], "everything: nothing has that name; see `razorbench list`"),
    "doctor with a stray word": (["doctor", "everything"], "unrecognized arguments"),
    "version of a command": (["--version", "list"], "--version: not understood"),
    "video without a run": (["video", "nowhere"], "does not exist: give a finished run's folder"),
    "video with an odd format": (["video", "nowhere", "--format", "avi"], "invalid choice"),
    "pretrain with a typo": (["pretrain", "base.epoch=3"], "base.epoch: no such setting of base=mlp (did you mean epochs?)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_ends_in_one_sentence_and_code_2(case, capsys):
    arguments, expected = WRONG[case]
    Path("blocked").write_text("a file")
    code, out, err = razorbench(capsys, *arguments)
    assert code == 2
    assert "Traceback" not in out + err
    if expected is not None:
        assert err.startswith("razorbench: ")
        assert len(err.strip().splitlines()) == 1
        assert expected in err
    assert not list(Path().rglob("record.json"))


def test_a_budget_too_small_for_a_method_is_a_sentence(capsys):
    code, out, err = razorbench(capsys, "task=pick_place", "method=ppo", "budget.env_steps=1000", *TINY[:3])
    assert code == 1
    assert "set budget.env_steps to 15360 or more" in out + err
    assert "Traceback" not in out + err

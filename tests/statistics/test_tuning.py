"""The search for defaults: equal for every method, ranked by hand-worked means, and what it found is what stands in conf."""

from dataclasses import fields
from pathlib import Path

import pytest
import readme
import search_tables
import synthetic
from conftest import METHODS, ROOT, TINY, TINY_METHOD, compose
from synthetic import costs, modes, success

from razorbench.commands import main
from razorbench.errors import UsageError
from razorbench.measures.episodes import Episodes
from razorbench.registry import config
from razorbench.statistics import search

pytestmark = pytest.mark.usefixtures("few_states")


@pytest.fixture(scope="module")
def study():
    with config.registry() as registry:
        return registry.item("study", "tuning")


def test_every_method_gets_the_same_search(study):
    with_settings = {name for name in METHODS if fields(compose(f"task={study.tasks[0]}", f"method={name}")[0].method)}
    lacking = sorted(with_settings - set(study.grids))
    assert not lacking, f"conf/study/tuning.yaml has no grid for {', '.join(lacking)}: add eight configurations of it"
    assert set(study.grids) <= with_settings
    for method in study.grids:
        tried = study.configurations(method)
        assert len(tried) == 8
        assert len({tuple(settings.values()) for settings in tried}) == 8
    with config.registry() as registry:
        assert not set(study.tasks) & set(registry.suite("core"))


def record(task, rate, score, method="mine", seed=7, budget="quick", config=None):
    solved = success(score) | {"ci95": [0.25, 1.0]}
    return synthetic.record(
        task=f"{task}-v1",
        method={"name": method, "family": "offline supervised", "version": 1, "demos": "direct"},
        seed=seed,
        budget={"name": budget, **costs()},
        config={"eval": {"split": "select"}, "method": {"learning_rate": rate}, **(config or {})},
        score=score,
        new_task={"base": modes(0.0), "final": modes(score), "select": solved},
        retention={"value": 1.0, "ci95": [0.25, 1.0]},
        divergence={"kl_forward": {"new": 2.0}},
    )


def test_ranking_by_hand():
    study = search.Study(["a", "b"], 7, "quick", {"mine": {"learning_rate": [0.1, 0.2, 0.3]}})
    scores = {("a", 0.1): 0.2, ("b", 0.1): 0.4, ("a", 0.2): 0.9, ("b", 0.2): 0.1, ("a", 0.3): 0.5, ("b", 0.3): 0.1}
    records = [record(*key, score) for key, score in scores.items()]
    strangers = [record("a", 0.1, 1.0, seed=0), record("a", 0.1, 1.0, method="other"), record("a", 0.1, 1.0, budget="long")]
    found = search.ranking(study, "mine", [*strangers, *records])
    assert [choice.settings["learning_rate"] for choice in found] == [0.2, 0.1, 0.3]
    assert [choice.score for choice in found] == pytest.approx([0.5, 0.3, 0.3])
    assert found[0].forward_kl == 2.0
    with pytest.raises(UsageError, match=r"b with learning_rate=0\.3 has no record; run `razorbench tune mine`"):
        search.ranking(study, "mine", records[:-1])
    with pytest.raises(UsageError, match="other: the study declares no grid for it"):
        study.configurations("other")


def test_effects_by_hand():
    grids = [{"learning_rate": [0.1, 0.2], "asked": [[]]}, {"learning_rate": [0.1], "asked": [["reach", "push"]]}]
    study = search.Study(["a"], 7, "quick", {"mine": grids})
    assert [settings["asked"] for settings in study.configurations("mine")] == [[], [], ["reach", "push"]]
    assert study.sweeps("mine")[1][:4] == ["task=a", "method=mine", "method.learning_rate=0.1", "method.asked=['reach', 'push']"]
    tried = ((0.1, [], 0.5), (0.2, [], 0.75), (0.1, ["reach", "push"], 1.0))
    records = [record("a", rate, score) for rate, _, score in tried]
    for each, (_, asked, _) in zip(records, tried, strict=True):
        each.config.method["asked"] = asked
    lines = search_tables.effects(study, "mine", records).splitlines()
    assert lines[0] == "| `learning_rate` | `asked` | `a`: success | retention | forward KL |"
    assert lines[3:] == [
        "| 0.2 | [] | 0.75 [0.25, 1.00] | 1.00 [0.25, 1.00] | 2.0 |",
        "| 0.1 | ['reach', 'push'] | 1.00 [0.25, 1.00] | 1.00 [0.25, 1.00] | 2.0 |",
    ]
    assert search_tables.ablations(study, records) == "\n".join(lines)
    with pytest.raises(UsageError, match="set different keys"):
        search.Study(["a"], 7, "quick", {"mine": [{"x": [1]}, {"y": [1]}]}).configurations("mine")


@pytest.mark.parametrize(
    ("setting", "override", "near", "far"),
    [
        ("demos", "demos=far", {"demos": "near"}, {"demos": "far"}),
        ("log_std", "log_std=far", {"log_std": "near"}, {"log_std": "far"}),
        ("base", "base=far", {"base": {"name": "near"}}, {"base": {"name": "far"}}),
        ("instruction", "task.instruction=far", {"task": {"instruction": "near"}}, {"task": {"instruction": "far"}}),
    ],
)
def test_some_settings_are_of_the_run(setting, override, near, far):
    study = search.Study(["a"], 7, "quick", {"mine": {setting: ["far"], "learning_rate": [0.1]}})
    assert override in study.sweeps("mine")[0]
    records = [record("a", 0.1, 0.2, config=near), record("a", 0.1, 0.4, config=far)]
    assert search.ranking(study, "mine", records)[0].score == 0.4


@pytest.mark.pages
def test_the_defaults_are_what_the_search_found(study):
    file = ROOT / "baselines" / "results" / "tuning.jsonl.gz"
    if not file.exists():
        pytest.skip("there is no checkout here")
    records = search_tables.load(file)
    defaults = {method: compose(f"task={study.tasks[0]}", f"method={method}")[0].method for method in study.grids}
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert readme.section(page, "tuning", search_tables.table(study, records, defaults)) == page, "run docs/make/search_tables.py"
    for method, mine in defaults.items():
        best = search_tables.chosen_first(search.ranking(study, method, records), mine)[0]
        assert {key: getattr(mine, key) for key in best.settings} == best.settings, method
        # Whoever builds the method in Python gets the same; the two methods of one class differ by their yaml alone.
        if method != "sft_oracle_rl":
            unlike = [key for key, value in vars(mine).items() if key != "upstream" and value != type(mine).__dataclass_fields__[key].default]
            assert not unlike, method


@pytest.mark.pages
@pytest.mark.parametrize(
    ("name", "page"), [*((name, "methods") for name in ("sft_cf", "sft_cf_far", "dagger", "dagger_tokens", "own", "limits", "simpo")), ("law", "findings")]
)
def test_ablations_are_on_their_page(name, page):
    file = ROOT / "baselines" / "results" / f"{name}.jsonl.gz"
    if not file.exists():
        pytest.skip("there is no checkout here")
    with config.registry() as registry:
        ablation = registry.item("study", name)
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert readme.section(text, name, search_tables.ablations(ablation, search_tables.load(file))) == text, "run docs/make/search_tables.py"


@pytest.mark.pages
def test_every_method_is_on_its_page():
    page = ROOT / "docs" / "methods.md"
    if not page.exists():
        pytest.skip("there is no checkout here")
    text = page.read_text(encoding="utf-8")
    absent = [method for method in METHODS if f"| `{method}` |" not in text]
    assert not absent, f"docs/methods.md has no row for {', '.join(absent)}: add one to its first table"


def test_the_command_searches_ranks_and_plays_no_test_start(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (mine := Path("mine/study")).mkdir(parents=True)
    grids = "grids: {sft: {learning_rate: [3.0e-5, 1.0e-4]}}"
    (mine / "short.yaml").write_text(f"_target_: razorbench.statistics.search.Study\ntasks: [push_far]\nseed: 100\nbudget: quick\n{grids}\n")
    tiny = [override for override in (*TINY, *TINY_METHOD["sft"]) if "snapshots" not in override]
    for _ in range(2):
        with pytest.raises(SystemExit) as done:
            main.main(["tune", "sft", *tiny, "--study", "short", "--config-dir", "mine"])
        out = capsys.readouterr().out
        assert done.value.code == 0
        assert "2 of 2 runs are done" in out
        assert "learning_rate=3e-05" in out
    assert "nothing was run again" in out
    folders = [path.parent for path in Path("results").rglob("record.json")]
    assert len(folders) == 2
    for folder in folders:
        assert not [row for row in Episodes.read(folder / "episodes.csv.gz").rows if row[2] == "test"]
    for arguments, sentence in (
        (["frozen"], "frozen: the study declares no grid for it"),
        (["--study", "none"], "study=none: no such study; there are asked, claims2, dagger"),
    ):
        with pytest.raises(SystemExit) as done:
            main.main(["tune", *arguments])
        assert done.value.code == 2
        assert sentence in capsys.readouterr().err


def test_a_sequence_is_not_tuned():
    with pytest.raises(UsageError, match="tuning is done on single tasks"):
        compose("sequence=core6", "method=sft", "eval.split=select")
    with pytest.raises(UsageError, match="it must be test, or select"):
        compose("task=pick_place", "method=sft", "eval.split=train")

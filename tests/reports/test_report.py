"""The report: its files, its numbers, names that mean harm, and the page in a real browser."""

import csv
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from synthetic import QUESTIONS, write_run

from razorbench.commands import main
from razorbench.reports.build import report
from razorbench.reports.looks import looks
from razorbench.statistics.finished_runs import Run, read_runs
from razorbench.statistics.pooling import pool
from razorbench.store.reading import read_run, read_snapshots

METHODS = {"ppo": ("on-policy reward", 0.05), "sft": ("offline supervised", 0.4), "lwf": ("continual learning", 0.1)}
HOSTILE = "<script>alert(1)</script>\"'&$x_{$\x00\ud800|javascript:"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for task in ("pick_place", "stack", "pick_can"):
        for seed in range(2):
            for method, (family, harm) in METHODS.items():
                write_run(folder, task, method, seed, speed=0.2, harm=harm, family=family)
    spent = {"name": "standard", "env_steps": 12_000, "demo_episodes": 0, "expert_queries": 0, "gradient_steps": 0, "uncounted": {"processes": 2}}
    alone = write_run(folder, "stack", "odd", 0, speed=0.1, harm=0.2, budget=spent)
    (alone / "plots").mkdir()
    (alone / "plots" / "summary.png").write_bytes(b"")
    (alone / "videos").mkdir()
    (alone / "videos" / "stack #1.mp4").write_bytes(b"")
    write_run(folder, "stack", "sft", 7, speed=0.2, harm=0.4, retention=None)
    return folder


@pytest.fixture(scope="module")
def page(results, tmp_path_factory):
    """The page of ordinary runs, as the command writes it."""
    out = tmp_path_factory.mktemp("report")
    with pytest.raises(SystemExit) as done:
        main.main(["report", str(results), "--out", str(out)])
    assert done.value.code == 0
    return out / "index.html"


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_link_leads_to_a_file(page):
    from urllib.parse import unquote

    links = [link for link in re.findall(r'href="([^"#][^"]*)"', page.read_text(encoding="utf-8")) if not link.startswith("data:")]
    assert len(links) > 100
    for link in links:
        assert (page.parent / unquote(link)).is_file(), link
    assert any(link.endswith("stack%20%231.mp4") for link in links)


def test_the_page_needs_nothing_but_itself(page):
    text = page.read_text(encoding="utf-8")
    for outside in ("http:", "https:", "@import", '<link rel="stylesheet', 'src="/'):
        assert outside not in re.sub(r"xmlns(:xlink)?=\"[^\"]*\"", "", text)


def test_every_figure_is_saved_thrice(page):
    names = re.findall(r'<figure class="picture[^"]*" id="([^"]*)"', page.read_text(encoding="utf-8"))
    assert len(names) == len(set(names)) > 15
    for name in names:
        assert (page.parent / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        ElementTree.parse(page.parent / "figures" / f"{name}.svg")
    assert {path.stem for path in (page.parent / "figures").glob("*.csv")} >= {
        "law",
        "pareto-all_tasks",
        "matched-0_7",
        "forgetting_per_skill_best",
        "forgetting_per_skill_end",
    }


def test_numbers_are_those_of_the_records(page, results):
    found = {row["arm"]: row for row in rows(page.parent / "tables" / "arms.csv")}
    records = [json.loads(path.read_text()) for path in results.rglob("ppo/*/record.json")]
    by_stop = {stop: {} for stop in ("best", "end")}
    for path in results.rglob("ppo/*/record.json"):
        record = json.loads(path.read_text())
        base = record["new_task"]["base"]["greedy"]["rate"]
        curve = [json.loads(line) for line in (path.parent / "curve.jsonl").read_text().splitlines()]
        best = next(point for point in curve if point["new_task"]["select"]["rate"] == max(each["new_task"]["select"]["rate"] for each in curve))
        for stop, success, kept in (
            ("best", best["new_task"]["test"]["rate"], best["retention"]["value"]),
            ("end", record["new_task"]["final"]["greedy"]["rate"], record["retention"]["value"]),
        ):
            by_stop[stop].setdefault(record["task"], []).append(max(0.0, (success - base) / (1 - base)) * min(1.0, kept))
    for stop, means in by_stop.items():
        expected = sum(sum(each) / len(each) for each in means.values()) / len(means)
        assert float(found["ppo"][f"score at {stop}"]) == pytest.approx(expected)
        assert float(found["ppo"][f"score at {stop} low"]) < expected < float(found["ppo"][f"score at {stop} high"])
    kept = next(row for row in rows(page.parent / "tables" / "tasks_retention_end.csv") if row["arm"] == "ppo")
    for task in ("pick_place", "stack", "pick_can"):
        own = [record["retention"]["value"] for record in records if record["task"] == f"{task}-v1"]
        assert float(kept[task]) == pytest.approx(sum(own) / 2)
        # Student's half width over two seeds, or what the episodes' own noise makes of it.
        assert float(kept[f"{task} high"]) - float(kept[task]) >= 12.7062 * abs(own[0] - own[1]) / 2
    costs = {row["arm"]: row for row in rows(page.parent / "tables" / "costs.csv")}
    assert costs["odd"]["tasks"] == "1 of 3, lacks pick_can, pick_place"
    # Every snapshot of 13 has 100 SELECT episodes; 12 updates take 1,000 environment steps each.
    assert [costs["ppo"][name] for name in ("SELECT episodes to find best", "updates to end", "env steps to end")] == ["1300", "12", "12000"]
    assert float(costs["ppo"]["updates to best"]) <= 12
    assert found["odd"]["score at best low"] == ""
    # The arm that lacks tasks stands last, whatever its score.
    assert list(found)[-1] == "odd"
    apart = rows(page.parent / "tables" / "set_apart.csv")
    assert [(row["arm"], row["seed"], row["reason"]) for row in apart] == [("sft", "7", "has no number for retention.value")]
    assert len(rows(page.parent / "tables" / "runs.csv")) == 19
    assert len(rows(page.parent / "figures" / "law.csv")) == 19 * 12
    forgotten = {(row["arm"], row["skill"]): row for row in rows(page.parent / "figures" / "forgetting_per_skill_end.csv")}
    by_task = {}
    for record in records:
        push = record["original"]["push"]
        by_task.setdefault(record["task"], []).append(push["base"]["greedy"]["rate"] - push["final"]["greedy"]["rate"])
    assert float(forgotten["ppo", "push"]["forgetting"]) == pytest.approx(sum(sum(each) / 2 for each in by_task.values()) / 3)


def test_verdicts_are_those_of_the_command(page, results, capsys):
    with pytest.raises(SystemExit):
        main.main(["claims", str(results), "--json"])
    claims = json.loads(capsys.readouterr().out)["claims"]
    assert [row["claim"] for row in rows(page.parent / "tables" / "claims.csv")] == [each["name"] for each in claims]
    findings = [(each["name"], finding) for each in claims for finding in each["findings"]]
    parts = rows(page.parent / "tables" / "parts.csv")
    assert [(row["claim"], row["part"], row["at"]) for row in parts] == [(name, finding["what"], finding["at"]) for name, finding in findings]
    assert [row["verdict"].strip("()").split(" (")[0] for row in parts] == [", ".join(finding["verdict"]["words"]) for _, finding in findings]
    assert [row["command"] for row in rows(page.parent / "tables" / "lacking.csv")] == [command for each in claims for command in each["commands"]]


def test_what_is_undefined_says_why(page):
    text = page.read_text(encoding="utf-8")
    assert "Omitted, because these runs do not measure them" in text
    assert "activations, L1, new task" in text
    assert not re.search(r">\s*(nan|None|inf)\s*<", text)


def test_it_names_the_arms_whose_costs_went_uncounted(page):
    found = re.findall(r"Uncounted costs of [^.]*", re.sub("<[^>]*>", "", page.read_text(encoding="utf-8")))
    assert found == ["Uncounted costs of `odd`: processes started, in which nothing is counted: 2"]


def test_the_same_runs_give_the_same_page(results, tmp_path):
    runs = pool(read_runs(results, {}), "mlp", "standard")
    few = pool([run for run in runs.runs if run.task == "stack"], "mlp", "standard")
    texts = [report(few, list, {}, QUESTIONS, tmp_path, lambda _: None).read_text(encoding="utf-8") for _ in range(2)]
    assert texts[0] == texts[1]
    assert "Undefined: too few runs: 1 of 3 tasks." in texts[0]


def test_names_that_mean_harm_stay_text(tmp_path):
    """A method, a family, a style, a task, a skill and a folder that try to be markup, mathematics, XML or a path, had they passed those who read records."""
    runs = []
    for seed in range(3):
        hostile = write_run(tmp_path / "runs", "stack", "evil", seed, speed=0.2, harm=0.2)
        record = read_run(hostile / "record.json")
        method = record.method.model_copy(update={"name": HOSTILE, "family": HOSTILE + "f", "demos": "../../" + HOSTILE})
        names = {"task": f"{HOSTILE}-v1", "base": "mlp-s0", "method": method, "versions": {"mujoco": HOSTILE, "torch": "2"}}
        record, *curve = (
            part.model_copy(update={"original": {HOSTILE if skill == "push" else skill: rates for skill, rates in part.original.items()}})
            for part in (record.model_copy(update=names), *read_snapshots(hostile))
        )
        runs.append(Run(record, curve, (), hostile.with_name(f"seed{seed}-<img src=x onerror=alert(2)>")))
    found = report(pool(runs, "mlp", "standard"), list, {}, QUESTIONS, tmp_path / "out", lambda _: None)
    text = found.read_text(encoding="utf-8")
    assert len(re.findall("<script", text)) == 1
    assert not re.search(r"<img|onerror=\w|href=.javascript", text)
    assert "&lt;script&gt;alert(1)" in text
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"index.html", "figures", "tables"}
    for path in (tmp_path / "out" / "figures").glob("*.svg"):
        assert not [each for each in ElementTree.parse(path).iter() if each.tag.endswith("script")]


def test_arms_look_the_same_in_every_report_and_differ_within_one(results):
    runs = read_runs(results, {})
    registered = {f"m{k}": f"family {k % 6}" for k in range(24)} | {name: family for name, (family, _) in METHODS.items()}
    everything = looks(runs, registered)
    assert looks([run for run in runs if run.method == "sft"], registered)["sft/direct"] == everything["sft/direct"]
    assert len({(look.colour, look.sign, look.fill) for look in everything.values()}) == len(everything)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["report", "nowhere", "--out", "x"], "nowhere: no such folder"),
        (["report", "nowhere"], "the following arguments are required: --out"),
    ],
)
def test_wrong_use(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as done:
        main.main(arguments)
    assert done.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.fixture
def opened(browser, page):
    """Opens the page from its file, and afterwards sees that nothing went wrong and nothing else was asked for."""
    wrong, pages = [], []

    def open_page(**options):
        tab = browser.new_page(**options)
        pages.append(tab)
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda request: wrong.append(request.url) if not request.url.startswith(("data:", page.as_uri())) else None)
        tab.goto(page.as_uri())
        return tab

    yield open_page
    for tab in pages:
        tab.close()
    assert not wrong


def test_every_figure_is_seen(opened):
    tab = opened()
    tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    boxes = tab.evaluate("[...document.querySelectorAll('.picture svg')].map(each => [each.getBBox().width, each.getBoundingClientRect().height])")
    assert len(boxes) > 15
    assert all(width > 100 and height > 100 for width, height in boxes)


def test_a_click_sorts(opened):
    tab = opened()

    def column(k):
        return tab.evaluate(f"[...document.querySelectorAll('#runs tbody tr')].map(row => row.cells[{k}].dataset.order)")

    head = tab.locator("#runs thead th").nth(4)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(each) for each in column(4)] == sorted(map(float, column(4)), reverse=True)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(each) for each in column(4)] == sorted(map(float, column(4)))
    tab.locator("#runs thead th button").nth(1).click()
    assert column(1) == sorted(column(1))
    assert head.get_attribute("aria-sort") is None


def test_what_is_undefined_sorts_last_both_ways(opened):
    tab = opened()
    tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    button = tab.locator("#matched thead th button").nth(2)
    for _ in range(2):
        button.click()
        order = tab.evaluate("[...document.querySelectorAll('#matched tbody tr')].map(row => row.cells[2].dataset.order)")
        assert "" in order
        assert "" not in order[: len(order) - order.count("")]


def test_a_phone_shows_it_without_scrolling_sideways(opened):
    tab = opened(viewport={"width": 390, "height": 844})
    tab.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_light_and_dark(opened, scheme, dark):
    tab = opened(color_scheme=scheme)

    def brightness(selector, what):
        colour = tab.evaluate(f"getComputedStyle(document.querySelector('{selector}'))['{what}']")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    paper, ink = brightness("body", "backgroundColor"), brightness("body", "color")
    letters = brightness(".picture svg text", "fill")
    assert (paper < 60, ink > 180, letters > 180) == (dark, dark, dark)


@pytest.mark.slow
@pytest.mark.timed
def test_a_thousand_records_in_a_minute_and_two_gigabytes(tmp_path):
    """Twelve tasks, 21 methods, every predictor, 24 snapshots each."""
    code = (
        "import sys, time, resource\n"
        "start = time.monotonic()\n"
        "from razorbench.commands import main\n"
        "try:\n"
        "    main.main(sys.argv[1:])\n"
        "except SystemExit as done:\n"
        "    assert done.code == 0\n"
        "print(time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)\n"
    )
    from razorbench.statistics.finished_runs import PREDICTORS

    families = ("on-policy reward", "on-policy supervised", "offline supervised", "continual learning", "ours", "bounds")
    for k in range(1000):
        method, task, seed = k % 21, k // 21 % 12, k // 252
        write_run(
            *(tmp_path / "results", f"task{task}", f"method{method}", seed),
            **{"speed": 0.1 + 0.005 * method, "harm": 0.02 * (method % 8) + 0.002 * task, "family": families[method % 6]},
            **{"snapshots": 24, "predictors": PREDICTORS},
        )
    command = [sys.executable, "-c", code, "report", str(tmp_path / "results"), "--out", str(tmp_path / "out")]
    for _ in range(2):  # another program may take the processors away for a while
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, gigabytes = map(float, done.stdout.splitlines()[-1].split())
        if seconds < 60:
            break
    assert gigabytes < 2
    assert seconds < 60

"""The workcell, its skills, tasks and scripted experts."""

if __name__ != "razorbench.envs":
    raise ImportError("this package is part of RazorBench: import razorbench.envs, not envs")

"""The methods that RazorBench compares, one readable file each."""

if __name__ != "razorbench.baselines":
    raise ImportError("this package is part of RazorBench: import razorbench.baselines, not baselines")

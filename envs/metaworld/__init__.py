"""Meta-World's tasks on the batch engine of MuJoCo. The package itself (`pip install razorbench[metaworld]`) is needed only where a task is played."""

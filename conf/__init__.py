"""The configuration: one yaml file per task, skill, method, base policy and budget. This folder is the registry."""

def report(study, tables): return ""

"""The report over finished runs: numbers first (tables), drawn (figures), then one page that needs nothing but itself."""

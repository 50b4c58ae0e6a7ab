"""Base policies: loading the shipped ones and making new ones."""

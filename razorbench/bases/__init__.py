"""Base policies: load the shipped ones, pretrain new ones."""

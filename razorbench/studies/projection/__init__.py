"""The paper's theory on bandits with known answers."""

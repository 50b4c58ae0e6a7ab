"""The paper's toy experiment on images."""

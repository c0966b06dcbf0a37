"""What is measured: one package per family, each with its ``WORKS``."""

"""Measures a model on HumanEval and MBPP."""

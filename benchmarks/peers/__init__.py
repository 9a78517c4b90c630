"""Other tools on the same model and data, measured by our evaluator; see ``__main__``."""

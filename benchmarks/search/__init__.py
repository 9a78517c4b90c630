"""How few evaluations a search needs, against what else could propose them."""

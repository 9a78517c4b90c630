"""Whether the search reaches what the product promises on real workloads; see ``__main__``."""

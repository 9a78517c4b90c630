"""Jobs across processes and nodes: what a trial costs beyond its evaluation, and what a fault costs."""

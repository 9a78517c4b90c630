"""Who may ask, and how: the HTTP interface, workers, the command line and the dashboard."""

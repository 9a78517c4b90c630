"""Published claims about compression, each tried on a small real setting."""

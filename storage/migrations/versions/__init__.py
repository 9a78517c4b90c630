"""Migrations in order: ``NNNN_what_it_does.py``. One that has been released is never edited."""

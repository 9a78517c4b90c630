"""Versions of the schema, one file each; `storage.schema` runs them, in one transaction."""

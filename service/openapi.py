"""Writes the OpenAPI document to a file, for a generator of clients: ``python -m service.openapi FILE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from service.app import create_app
from service.settings import Settings


def document() -> dict[str, Any]:
    """The document that a running service answers with; nothing is started or connected."""
    nowhere = Path("nowhere")
    app = create_app(Settings(data_dir=nowhere, database_url=f"sqlite:///{nowhere}/tauten.db", workers=0))
    return app.openapi()


def main() -> None:
    """Writes it; a file that says the same already is left as it is, so that nothing is built again."""
    path, text = Path(sys.argv[1]), json.dumps(document(), indent=1, sort_keys=True) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

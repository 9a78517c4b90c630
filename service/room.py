"""Whether there is room for more; asked before work begins, since a full disk is found out too late."""

from __future__ import annotations

import shutil

from service.settings import MIB, Settings
from spaces import StorageError
from storage import Database


def check_room(settings: Settings, database: Database) -> None:
    """Passes where artifacts and rows can still be stored.

    Args:
        settings: where files are, and how much must be free.
        database: a file's own limits count as well.

    Raises:
        StorageError: there is less room; the message says where.
    """
    try:
        free_on_disk = shutil.disk_usage(settings.data_dir).free
    except OSError as error:
        raise StorageError(f"{settings.data_dir} cannot be looked at: {error}") from error
    rooms = {
        f"the disk of {settings.data_dir}": free_on_disk,
        f"the database {database}": database.headroom_bytes(),
    }
    for place, free in rooms.items():
        if free is not None and free < settings.min_free_bytes:
            raise StorageError(
                f"{place} has room for {free / MIB:.0f} MiB more, less than the "
                f"{settings.min_free_bytes / MIB:g} MiB that are kept free; make room, and work goes on"
            )

"""One JSON line per log record, whatever stands in it: nothing that comes from outside can begin a line of its own."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from schemas.base import rfc3339


class JsonLines(logging.Formatter):
    """Time, level, logger and text, and the `fields` given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "time": rfc3339(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)  # ASCII: Unicode has line breaks of its own


def configure(level: int = logging.INFO) -> None:
    """Sends everything to standard error. uvicorn's own access log stays off, since it prints tokens."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("tocsin").setLevel(level)

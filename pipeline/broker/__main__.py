"""`python -m pipeline.broker`: creates and checks all topics, then ends; the first step of a deployment."""

import asyncio
import sys

from pipeline.broker.topics import ensure
from pipeline.errors import TocsinError
from pipeline.settings import Settings


def main() -> None:
    """Exit status 1 with the reason when a topic is not as declared, or the broker cannot be used."""
    try:
        created = asyncio.run(ensure(Settings()))
    except TocsinError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"topics are as declared; created: {', '.join(created) or 'none'}\n")


if __name__ == "__main__":
    main()

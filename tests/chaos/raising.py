"""The deliver room, in which the handler of batches raises an error that nobody expected: once."""

from collections.abc import Awaitable, Callable

from agents.__main__ import main
from agents.sending import Post
from pipeline.settings import Settings
from schemas.codec import Record


def raising(handle: Callable[[Post, Record], Awaitable[bool]]) -> Callable[[Post, Record], Awaitable[bool]]:
    """The handler, which fails at its first batch, and never again on this data directory."""
    mark = Settings().data_dir / "run" / "raised"

    async def fails(post: Post, record: Record) -> bool:
        if not mark.exists():
            mark.touch()
            raise ArithmeticError("nobody expected this")
        return await handle(post, record)

    return fails


if __name__ == "__main__":
    Post.handle = raising(Post.handle)  # type: ignore[method-assign]
    main()

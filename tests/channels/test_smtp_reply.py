"""Replies out of whatever pieces arrive."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.channels.smtp_reply import NotUnderstood, Replies, Reply

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20).map(str.strip)
REPLIES = st.tuples(st.integers(200, 599), st.lists(WORDS, min_size=1, max_size=3))


def written(code: int, lines: list[str]) -> bytes:
    *first, last = lines
    return "".join([*(f"{code}-{line}\r\n" for line in first), f"{code} {last}\r\n"]).encode()


def all_of(replies: Replies) -> list[Reply]:
    return list(iter(replies.take, None))


@given(said=st.lists(REPLIES, max_size=6), cuts=st.lists(st.integers(0, 400), max_size=12))
def test_however_they_are_cut_the_replies_are_the_same(said: list[tuple[int, list[str]]], cuts: list[int]) -> None:
    octets = b"".join(written(*reply) for reply in said)
    replies, heard = Replies(), []
    for start, end in pairwise(sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})):
        replies.feed(octets[start:end])
        heard += all_of(replies)
    assert [(reply.code, reply.message) for reply in heard] == [(code, "\n".join(lines)) for code, lines in said]
    assert not replies.pending


def test_a_code_alone_is_a_reply_and_half_a_line_is_pending() -> None:
    replies = Replies()
    replies.feed(b"250\r\n354\n25")
    assert all_of(replies) == [Reply(250, ""), Reply(354, "")]
    assert replies.pending
    replies.feed(b"0-more\r\n")
    assert all_of(replies) == []
    assert replies.pending


def test_octets_that_are_no_text_are_kept_apart() -> None:
    replies = Replies()
    replies.feed(b"250 \xff\xfe\r\n")
    assert all_of(replies)[0].message.encode("utf-8", "surrogateescape") == b"\xff\xfe"


@pytest.mark.parametrize(
    "said",
    [
        b"\r\n",
        b"25\r\n",
        b"hello\r\n",
        b"2500 OK\r\n",
        b"199 OK\r\n",
        b"600 OK\r\n",
        b"-25 OK\r\n",
        "２５０ OK\r\n".encode(),
        b"250-one\r\n550 two\r\n",
        b"x" * 40_000,
        b"250-more\r\n" * 20_000,
    ],
)
def test_what_is_no_reply_is_not_understood(said: bytes) -> None:
    replies = Replies()
    replies.feed(said)
    with pytest.raises(NotUnderstood):
        all_of(replies)

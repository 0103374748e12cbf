import asyncio

import aiohttp
import pytest
import tweepy
from tweepy.asynchronous import AsyncClient

from pipeline.sandbox import Sandbox
from tests.sandbox.conftest import HandClock, RewritingSession, x_client


async def test_a_post_is_kept_and_stands_in_the_own_timeline(sandbox: Sandbox, x: AsyncClient) -> None:
    first = await x.create_tweet(text="Checkout is down.")
    second = await x.create_tweet(text="Checkout is back.", in_reply_to_tweet_id=first.data["id"])
    assert [(post.text, post.reply_to) for post in sandbox.posts] == [
        ("Checkout is down.", None),
        ("Checkout is back.", first.data["id"]),
    ]
    me = await x.get_me(user_auth=True)
    timeline = await x.get_users_tweets(
        me.data.id, user_auth=True, tweet_fields=["created_at", "author_id", "referenced_tweets"]
    )
    assert [str(post.id) for post in timeline.data] == [second.data["id"], first.data["id"]]
    assert timeline.data[0].created_at == sandbox.posts[1].at
    assert timeline.meta["newest_id"] == second.data["id"]
    later = await x.get_users_tweets(me.data.id, user_auth=True, since_id=first.data["id"], max_results=5)
    assert [post.text for post in later.data] == ["Checkout is back."]


async def test_the_timeline_comes_in_pages(sandbox: Sandbox, x: AsyncClient) -> None:
    for number in range(7):
        await x.create_tweet(text=f"post {number}")
    me = await x.get_me(user_auth=True)
    page = await x.get_users_tweets(me.data.id, user_auth=True, max_results=5)
    rest = await x.get_users_tweets(me.data.id, user_auth=True, max_results=5, pagination_token=page.meta["next_token"])
    assert [post.text for post in [*page.data, *rest.data]] == [f"post {number}" for number in range(6, -1, -1)]
    assert "next_token" not in rest.meta


async def test_the_same_text_again_is_a_duplicate_without_api_codes(sandbox: Sandbox, x: AsyncClient) -> None:
    await x.create_tweet(text="Checkout is down.")
    with pytest.raises(tweepy.Forbidden) as caught:
        await x.create_tweet(text="Checkout is down.")
    assert caught.value.api_codes == []
    assert "You are not allowed to create a Tweet with duplicate content." in str(caught.value)
    assert len(sandbox.posts) == 1


async def test_a_first_attempt_can_be_called_a_duplicate_too(sandbox: Sandbox, x: AsyncClient) -> None:
    sandbox.fault("x", "duplicate")
    with pytest.raises(tweepy.Forbidden, match="duplicate content"):
        await x.create_tweet(text="Checkout is down.")
    assert sandbox.posts == []


async def test_a_refused_reply_hits_replies_only(sandbox: Sandbox, x: AsyncClient) -> None:
    sandbox.fault("x", "reply_refused")
    first = await x.create_tweet(text="Checkout is down.")
    with pytest.raises(tweepy.Forbidden, match="summoned"):
        await x.create_tweet(text="Still down.", in_reply_to_tweet_id=first.data["id"])
    with pytest.raises(tweepy.Forbidden, match="not visible"):
        await x.create_tweet(text="Still down.", in_reply_to_tweet_id="1")


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("x" * 280, True),
        ("x" * 281, False),
        ("障" * 140, True),
        ("障" * 141, False),
        ("x" * 256 + " https://example.com/" + "y" * 100, True),
        ("x" * 257 + " https://example.com/", False),
        ("👩‍👩‍👧‍👦" * 140, True),
    ],
)
async def test_a_post_may_weigh_280(sandbox: Sandbox, x: AsyncClient, text: str, fits: bool) -> None:
    if fits:
        await x.create_tweet(text=text)
    else:
        with pytest.raises(tweepy.Forbidden, match="too long"):
            await x.create_tweet(text=text)
    assert len(sandbox.posts) == int(fits)


async def test_every_answer_carries_the_rate_limit(sandbox: Sandbox, x: AsyncClient) -> None:
    x.return_type = aiohttp.ClientResponse
    response = await x.create_tweet(text="Checkout is down.")
    assert (response.headers["x-rate-limit-limit"], response.headers["x-rate-limit-remaining"]) == ("100", "99")
    with pytest.raises(tweepy.Forbidden) as caught:
        await x.create_tweet(text="Checkout is down.")
    assert caught.value.response.headers["x-rate-limit-remaining"] == "98"


async def test_the_limit_counts_by_the_clock_it_was_given(clock: HandClock) -> None:
    async with Sandbox(clock=clock, x_posts_per_window=2) as sandbox, RewritingSession() as session:
        session.base = sandbox.x_url
        client = x_client(session)
        for text in ("one", "two"):
            await client.create_tweet(text=text)
        with pytest.raises(tweepy.TooManyRequests) as caught:
            await client.create_tweet(text="three")
        assert caught.value.reset_time == int(clock().timestamp()) + 900
        clock.turn(seconds=899)
        with pytest.raises(tweepy.TooManyRequests):
            await client.create_tweet(text="three")
        clock.turn(seconds=1)
        await client.create_tweet(text="three")
        assert [post.text for post in sandbox.posts] == ["one", "two", "three"]


async def test_429_on_request_lasts_until_its_reset(clock: HandClock) -> None:
    async with Sandbox(clock=clock) as sandbox, RewritingSession() as session:
        session.base = sandbox.x_url
        client = x_client(session)
        sandbox.fault("x", "rate_limit", seconds=5)
        for _ in range(2):
            with pytest.raises(tweepy.TooManyRequests) as caught:
                await client.create_tweet(text="one")
            assert caught.value.reset_time == int(clock().timestamp()) + 5
            assert caught.value.response.headers["x-rate-limit-remaining"] == "0"
        clock.turn(seconds=5)
        await client.create_tweet(text="one")
        assert len(sandbox.posts) == 1


async def test_an_empty_429_is_what_tweepy_stumbles_over(sandbox: Sandbox, x: AsyncClient) -> None:
    sandbox.fault("x", "empty_rate_limit")
    with pytest.raises(AttributeError):
        await x.create_tweet(text="one")
    assert sandbox.fired("empty_rate_limit")


async def test_a_503_of_html_is_what_tweepy_stumbles_over(sandbox: Sandbox, x: AsyncClient) -> None:
    sandbox.fault("x", "html")
    with pytest.raises(aiohttp.ContentTypeError) as caught:
        await x.create_tweet(text="one")
    assert caught.value.status == 503


@pytest.mark.parametrize(("kind", "kept"), [("reset", 0), ("reset_after_accept", 1)])
async def test_a_reset_before_and_after_accepting(sandbox: Sandbox, x: AsyncClient, kind: str, kept: int) -> None:
    sandbox.fault("x", kind)
    with pytest.raises(aiohttp.ClientConnectionError):
        await x.create_tweet(text="one")
    assert [post.answered for post in sandbox.posts] == [False] * kept


async def test_after_an_accepted_post_without_an_answer_the_same_text_is_a_duplicate(
    sandbox: Sandbox, x: AsyncClient
) -> None:
    sandbox.fault("x", "hang_after_accept")
    posting = asyncio.create_task(x.create_tweet(text="one"))
    await sandbox.wait_for(lambda: sandbox.posts)
    posting.cancel()
    with pytest.raises(tweepy.Forbidden, match="duplicate content"):
        await x.create_tweet(text="one")
    assert [post.answered for post in sandbox.posts] == [False]


async def test_another_accounts_keys_are_refused(sandbox: Sandbox) -> None:
    async with RewritingSession() as session:
        session.base = sandbox.x_url
        with pytest.raises(tweepy.Unauthorized):
            await x_client(session, access_token="another").create_tweet(text="one")


async def test_a_request_without_oauth_is_refused(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    async with http.post(f"{sandbox.x_url}/2/tweets", json={"text": "one"}) as response:
        assert response.status == 401
        assert "x-rate-limit-limit" in response.headers

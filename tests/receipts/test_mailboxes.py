"""Bounces collected in a mailbox: what became a record may be taken out, everything else stays."""

import mailbox
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.broker import connect
from pipeline.commands.receipts import _take
from pipeline.errors import ConfigurationError, NotFound
from pipeline.receipts.mailboxes import open_imap, open_path
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.receipt import BounceReceived
from tests.receipts import mails
from tests.receipts.mails import report

MAILS = (report(number=1), mails.HOLIDAY, report(number=2, to=mails.FORGED), report(number=3))


def filled(path: Path, kind: str) -> mailbox.Mailbox[mailbox.Message]:
    box: mailbox.Mailbox[mailbox.Message] = mailbox.Maildir(path) if kind == "maildir" else mailbox.mbox(path)  # type: ignore[assignment]
    for raw in MAILS:
        box.add(raw)
    box.flush()
    return box


@pytest.mark.parametrize("kind", ["mbox", "maildir"])
def test_a_mailbox_gives_the_mails_as_they_were_and_keeps_what_is_not_done(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "box"
    filled(path, kind)
    with open_path(path) as box:
        names = box.names()
        subjects = sorted(box.read(name).replace(b"\r\n", b"\n") for name in names)
        assert subjects == sorted(raw.replace(b"\r\n", b"\n") for raw in MAILS)
        box.done(names[0], remove=True)
        box.done(names[1], remove=False)
    with open_path(path) as box:
        assert len(box.names()) == 3


def test_a_mail_in_a_maildir_that_is_done_is_seen(tmp_path: Path) -> None:
    filled(tmp_path / "box", "maildir")
    with open_path(tmp_path / "box") as box:
        box.done(box.names()[0], remove=False)
    assert len(list((tmp_path / "box" / "cur").iterdir())) == 1


def test_a_mailbox_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound), open_path(tmp_path / "none"):
        pass
    assert not (tmp_path / "none").exists()


def test_a_mailbox_that_is_being_written_to_is_left_alone(tmp_path: Path) -> None:
    filled(tmp_path / "box", "mbox")
    (tmp_path / "box.lock").touch()  # how every mail program says that it writes to an mbox
    with pytest.raises(ConfigurationError, match="another program"), open_path(tmp_path / "box"):
        pass


async def test_what_is_taken_in_stands_on_the_broker(own_broker: Settings, tmp_path: Path) -> None:
    settings = own_broker.model_copy(update={"secret": None})
    box = mailbox.Maildir(tmp_path / "box")
    from pipeline.vault import Vault

    token = Vault.open(settings).return_token(mails.INTENT, 2)
    ours = f"bounce+{token}@bounces.example.com"
    for raw in (report(to=ours), report(number=2, to=mails.FORGED), mails.HOLIDAY):
        box.add(raw)
    with open_path(tmp_path / "box") as opened:
        assert await _take(settings, opened, True) == {"hard": 1, "no token of ours": 1, "not a receipt": 1}
    [record] = [record async for record in connect.read_all(settings, topics.PROVIDER_RECEIPTS.name)]
    assert record.partition == 2
    assert codec.decode(record, BounceReceived).data.intent_id == mails.INTENT
    assert len(list(box.keys())) == 2


class _Imap(socketserver.StreamRequestHandler):
    """As much of IMAP4rev1 as a collector of bounces speaks; the standard library has no server."""

    def handle(self) -> None:
        self.wfile.write(b"* OK ready\r\n")
        for line in self.rfile:
            tag, command, *rest = line.decode().split()
            self.server.heard.append(" ".join([command, *rest]))  # type: ignore[attr-defined]
            match command.upper(), rest:
                case "CAPABILITY", _:
                    self.wfile.write(b"* CAPABILITY IMAP4rev1\r\n")
                case "LOGIN", [_, password] if password != '"right"':
                    self.wfile.write(f"{tag} NO wrong\r\n".encode())
                    continue
                case "SELECT", _:
                    self.wfile.write(b"* 2 EXISTS\r\n")
                case "UID", ["SEARCH", *_]:
                    self.wfile.write(b"* SEARCH 7 9\r\n")
                case "UID", ["FETCH", uid, *_]:
                    raw = report(number=int(uid))
                    self.wfile.write(b"* 1 FETCH (UID %s BODY[] {%d}\r\n%s)\r\n" % (uid.encode(), len(raw), raw))
                case "LOGOUT", _:
                    self.wfile.write(b"* BYE\r\n")
            self.wfile.write(f"{tag} OK done\r\n".encode())


@pytest.fixture
def imap() -> Iterator[socketserver.ThreadingTCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Imap) as server:
        server.heard = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_an_imap_folder_gives_what_nobody_has_seen(imap: socketserver.ThreadingTCPServer) -> None:
    with open_imap(f"imap://bounces:right@127.0.0.1:{imap.server_address[1]}/Returned%20mail") as box:
        assert box.names() == ["7", "9"]
        assert box.read("9") == report(number=9)
        box.done("7", remove=False)
        box.done("9", remove=True)
    heard: list[str] = imap.heard  # type: ignore[attr-defined]
    assert 'SELECT "Returned mail"' in heard
    assert "UID FETCH 9 (BODY.PEEK[])" in heard
    assert [line for line in heard if "STORE" in line] == [
        r"UID STORE 7 +FLAGS (\Seen)",
        r"UID STORE 9 +FLAGS (\Seen \Deleted)",
    ]


def test_a_wrong_password_is_said_with_the_setting_and_without_it(imap: socketserver.ThreadingTCPServer) -> None:
    with (
        pytest.raises(ConfigurationError, match="TOCSIN_IMAP_URL") as wrong,
        open_imap(f"imap://bounces:sesame@127.0.0.1:{imap.server_address[1]}/"),
    ):
        pass
    assert "sesame" not in str(wrong.value)


@pytest.mark.parametrize("url", ["http://a:b@c/", "imaps://nobody", "imap://a:b@mail.example.com/INBOX"])
def test_a_url_that_would_not_do_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TOCSIN_IMAP_URL"), open_imap(url):
        pass

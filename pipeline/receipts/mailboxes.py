"""Mailboxes that bounces are collected in: an mbox file, a Maildir, or an IMAP folder.

What became a record, and only that, may be taken out; everything else stays for a person to read.
"""

import imaplib
import mailbox
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from pipeline.errors import ConfigurationError, NotFound

TIMEOUT_S = 30.0


class Box(Protocol):
    """A mailbox that is open."""

    def names(self) -> list[str]:
        """What is in it to be read."""
        ...

    def read(self, name: str) -> bytes:
        """One mail."""
        ...

    def done(self, name: str, remove: bool) -> None:
        """This mail is on record: it is removed, or marked as seen where the mailbox can."""
        ...


class _Local:
    """An mbox file or a Maildir, by the standard library."""

    def __init__(self, box: mailbox.mbox | mailbox.Maildir) -> None:
        self._box = box

    def names(self) -> list[str]:
        return [str(key) for key in self._box.keys()]  # noqa: SIM118 - iterating yields mails, not keys

    def read(self, name: str) -> bytes:
        return self._box.get_bytes(self._key(name))

    def done(self, name: str, remove: bool) -> None:
        if remove:
            self._box.remove(self._key(name))
        elif isinstance(self._box, mailbox.Maildir):
            mail = self._box.get_message(name)
            mail.set_subdir("cur")
            mail.add_flag("S")
            self._box[name] = mail

    def _key(self, name: str) -> str:
        # An mbox counts its mails; the library's types speak of names alone.
        return name if isinstance(self._box, mailbox.Maildir) else int(name)  # type: ignore[return-value]


class _Imap:
    """An IMAP folder (RFC 3501): the mails that nobody has seen yet."""

    def __init__(self, client: imaplib.IMAP4) -> None:
        self._client = client

    def names(self) -> list[str]:
        _, [found] = self._client.uid("SEARCH", "UNSEEN")
        return (found or b"").decode().split()

    def read(self, name: str) -> bytes:
        _, parts = self._client.uid("FETCH", name, "(BODY.PEEK[])")
        return next((part[1] for part in parts if isinstance(part, tuple)), b"")

    def done(self, name: str, remove: bool) -> None:
        self._client.uid("STORE", name, "+FLAGS", r"(\Seen \Deleted)" if remove else r"(\Seen)")


@contextmanager
def open_path(path: Path) -> Iterator[Box]:
    """A Maildir (a directory) or an mbox file, locked while it is open. Raises NotFound."""
    if not path.exists():
        raise NotFound(f"there is no mailbox at {path}")
    box: mailbox.mbox | mailbox.Maildir
    box = mailbox.Maildir(path, create=False) if path.is_dir() else mailbox.mbox(path, create=False)
    try:
        box.lock()
    except mailbox.ExternalClashError:
        box.close()
        raise ConfigurationError(f"{path} is being written to by another program: try again in a moment") from None
    try:
        yield _Local(box)
    finally:
        box.flush()
        box.unlock()
        box.close()


@contextmanager
def open_imap(url: str) -> Iterator[Box]:
    """`imaps://user:password@host[:port]/folder`; `imap://`, in clear, to this machine alone.

    Raises ConfigurationError.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("imap", "imaps") or not parts.hostname or not parts.username:
        raise ConfigurationError("TOCSIN_IMAP_URL is not of the form imaps://user:password@host/folder")
    if parts.scheme == "imap" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ConfigurationError("TOCSIN_IMAP_URL would send its password in clear: use imaps:// instead of imap://")
    try:
        client = _connect(parts.scheme, parts.hostname, parts.port)
    except (OSError, imaplib.IMAP4.error) as error:
        raise ConfigurationError(f"TOCSIN_IMAP_URL: {parts.hostname} does not answer as it should: {error}") from None
    try:
        client.login(unquote(parts.username), unquote(parts.password or ""))
        status, answer = client.select(f'"{unquote(parts.path.strip("/")) or "INBOX"}"')
        if status != "OK":
            raise ConfigurationError(f"TOCSIN_IMAP_URL: the folder cannot be opened: {answer}")
        yield _Imap(client)
        client.close()  # takes out what is marked as deleted
    except imaplib.IMAP4.error as error:
        raise ConfigurationError(f"TOCSIN_IMAP_URL: {parts.hostname} refuses: {error}") from None
    finally:
        try:
            client.logout()
        except (OSError, imaplib.IMAP4.error):
            pass  # the line is broken already, which was said above


def _connect(scheme: str, host: str, port: int | None) -> imaplib.IMAP4:
    if scheme == "imaps":
        return imaplib.IMAP4_SSL(host, port or 993, ssl_context=ssl.create_default_context(), timeout=TIMEOUT_S)
    return imaplib.IMAP4(host, port or 143, timeout=TIMEOUT_S)

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.audit.note import Checkpoint, NoteError, PublicKey, read_checkpoint, sign

# The example of the documentation of golang.org/x/mod/sumdb/note: another's signature, another's key.
GO_KEY = PublicKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
GO_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
KEY = PublicKey("tocsin/log/test", PRIVATE.public_key().public_bytes_raw())
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
CHECKPOINT = Checkpoint("tocsin/log/test", 42, b"\x09" * 32)
NOTE = sign(CHECKPOINT.text, KEY.name, PRIVATE)


def test_a_note_that_go_signed_is_opened():
    assert GO_KEY.open(GO_NOTE.encode()).endswith("your problem is.\n")


def test_a_note_that_go_signed_is_refused_when_a_letter_is_another():
    with pytest.raises(NoteError, match="does not fit"):
        GO_KEY.open(GO_NOTE.replace("answer", "anwser").encode())


def test_a_checkpoint_has_the_form_of_the_specification():
    lines = NOTE.decode().split("\n")
    assert lines[:4] == ["tocsin/log/test", "42", "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=", ""]
    assert lines[4].startswith("\u2014 tocsin/log/test ")
    assert lines[5:] == [""]


def test_what_was_signed_is_read_again():
    assert read_checkpoint(NOTE, KEY) == CHECKPOINT


def test_signatures_of_others_are_passed_over():
    cosigned = NOTE + sign(CHECKPOINT.text, "witness", OTHER).rsplit(b"\n\n", 1)[1]
    assert read_checkpoint(cosigned, KEY) == CHECKPOINT


def test_another_key_of_the_same_name_is_not_this_key():
    with pytest.raises(NoteError, match="expected a signature of"):
        read_checkpoint(sign(CHECKPOINT.text, KEY.name, OTHER), KEY)


def test_extension_lines_are_ignored():
    assert read_checkpoint(sign(CHECKPOINT.text + "more\n", KEY.name, PRIVATE), KEY) == CHECKPOINT


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff" + NOTE,
        NOTE.replace(b"\n\n", b"\n"),
        NOTE.removesuffix(b"\n"),
        NOTE.replace(b"\xe2\x80\x94 ", b"- "),
        NOTE.replace(b"\n42\n", b"\n\t42\n"),
        NOTE + b"\xe2\x80\x94 witness AAA\n",
        b"x" * 70_000 + NOTE,
    ],
)
def test_a_damaged_note_is_refused(damaged):
    with pytest.raises(NoteError):
        read_checkpoint(damaged, KEY)


@pytest.mark.parametrize(
    "text", ["o\n1\n", "\n1\nAA==\n", "o\n01\nAA==\n", "o\n-1\nAA==\n", "o\n1\nAA==\n", "o\n1\n!\n", "o\nx\nAA==\n"]
)
def test_a_text_that_is_no_checkpoint_is_refused(text):
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


@pytest.mark.parametrize("line", ["", "a+b", f"{KEY}"[:-4], str(KEY).replace("test+", "tset+"), "a+00000000+AQ=="])
def test_a_damaged_public_key_is_refused(line):
    with pytest.raises(NoteError):
        PublicKey.parse(line)

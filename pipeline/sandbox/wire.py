"""Breaking connections, and the certificate of a server that nobody knows."""

import asyncio
import ipaddress
import socket
import ssl
import struct
import tempfile
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.clock import now

CERTIFICATE_LIFE = timedelta(days=7)


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Ends a connection by RST: with a linger time of 0 the kernel sends no FIN (socket(7), SO_LINGER)."""
    if not isinstance(transport, asyncio.Transport):
        return
    # A TLS transport that was closed twice (Python 3.11) has let go of its socket and cannot even be asked for it.
    sock = None if transport.is_closing() else transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def certificate_and_key() -> tuple[bytes, bytes]:
    """A certificate for 127.0.0.1 and localhost that signs itself, and its key; PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Its life is real time: the peer checks it against its own clock, whatever clock the sandbox was given.
        .not_valid_before(now() - timedelta(hours=1))
        .not_valid_after(now() + CERTIFICATE_LIFE)
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, secret


def self_signed() -> tuple[ssl.SSLContext, str]:
    """A server's context for 127.0.0.1 and localhost, and its certificate in PEM for clients that are to trust it."""
    pem, secret = certificate_and_key()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The ssl module reads keys from files only.
    with tempfile.TemporaryDirectory() as directory:
        both = Path(directory) / "server.pem"
        both.touch(mode=0o600)
        both.write_bytes(pem + secret)
        context.load_cert_chain(both)
    return context, pem.decode()

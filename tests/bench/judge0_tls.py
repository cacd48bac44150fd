"""A certificate authority for an hour, for databases that only a test or a measurement talks to."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def certificates(*names: str) -> dict[str, bytes]:
    """A CA, and a certificate for ``names`` with its key, as PEM by file name."""
    now = datetime.datetime.now(datetime.UTC)
    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))

    def issue(name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
        builder = x509.CertificateBuilder(
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(hours=1),
            not_valid_after=now + datetime.timedelta(hours=1),
        )
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        certificate = builder.add_extension(alternatives, critical=False).sign(authority, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)

    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return {
        "ca.pem": issue("ca", authority, ca=True),
        "cert.pem": issue("server", server, ca=False),
        "key.pem": server.private_bytes(pem, pkcs8, serialization.NoEncryption()),
    }

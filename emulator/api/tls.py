"""The server's certificate and key: files of its state directory, issued by an authority of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from emulator.cloud.certificates import issue, make_authority
from emulator.statedir import read, unusable, write_private

CA, FOLDER = "ca.pem", "tls"
AUTHORITY_KEY, CERTIFICATE, KEY = "ca-key.pem", "server.pem", "server-key.pem"


def server_files(state: Path, host: str) -> tuple[Path, Path]:
    """The files of the server's certificate and key; made where there is no key.

    Raises ``EngineError`` for files that clients would refuse, or that are no certificate and key at all.
    """
    folder = state / FOLDER
    folder.mkdir(exist_ok=True, mode=0o700)
    if not (folder / KEY).exists():
        _make(state, folder, host)
    _check(state, folder)
    return folder / CERTIFICATE, folder / KEY


def _make(state: Path, folder: Path, host: str) -> None:
    authority = make_authority("Wavetank emulator CA")
    pair = issue(authority, ["localhost"], sorted({"127.0.0.1", host}))
    write_private(folder / AUTHORITY_KEY, authority.key)
    write_private(state / CA, authority.certificate)
    write_private(folder / CERTIFICATE, pair.certificate)
    write_private(folder / KEY, pair.key)


def _check(state: Path, folder: Path) -> None:
    remedy = f"remove the directory {folder}: a new authority and certificate are then made"
    authority = _certificate(state / CA, remedy)
    certificate = _certificate(folder / CERTIFICATE, remedy)
    file = folder / KEY
    try:
        key = serialization.load_pem_private_key(read(file, remedy).encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise unusable(file, "it is not a private key in PEM without a password", remedy) from error
    if key.public_key() != certificate.public_key():
        raise unusable(file, f"it is not the key of {CERTIFICATE} beside it", remedy)
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise unusable(folder / CERTIFICATE, f"it was not issued by {state / CA}", remedy) from error


def _certificate(file: Path, remedy: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(read(file, remedy).encode())
    except ValueError as error:
        raise unusable(file, "it is not a certificate in PEM", remedy) from error
    if not certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc:
        until = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise unusable(file, f"it is valid from {until} only", remedy)
    return certificate

"""TLS towards the hub: whom to trust, and what went wrong in words.

The one rule: a certificate is always checked, name included; ``ca_file`` replaces the machine's own authorities and
nothing switches the check off.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from lastgood.errors import ConfigError

_EXPIRED, _NOT_YET = 10, 9
_SELF_SIGNED = (18, 19)
_UNKNOWN_ISSUER = (2, 20, 21)
_WRONG_NAME = (62, 63, 64)


def context(ca_file: str | None) -> ssl.SSLContext:
    """What a connection to the hub checks its certificate with. Raises ConfigError for a ``ca_file`` that is none."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one too: a file without a certificate in it
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(
            f"The ca_file {ca_file} cannot be used: {reason}; name a PEM file with your authority's certificate."
        ) from error


def absolute(ca_file: Path | None) -> str | None:
    """The path as a configuration keeps it."""
    return None if ca_file is None else str(ca_file.absolute())


def words(error: BaseException) -> str | None:
    """What a failed TLS handshake means for an operator; None if the error is no such failure."""
    found = _tls_error(error)
    if isinstance(found, ssl.SSLCertVerificationError):
        return _of_certificate(found)
    if isinstance(found, ssl.SSLError):
        if "WRONG_VERSION_NUMBER" in str(found) or "HTTP_REQUEST" in str(found):
            return "the hub speaks no TLS at this address; mend the port, or write http:// for a hub on this machine"
        return f"TLS failed ({found.reason or found}); see what answers at this address"
    return None


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code in _WRONG_NAME:
        return f"the hub's certificate is for another name ({error.verify_message}); use the name that stands in it"
    if code in (*_SELF_SIGNED, *_UNKNOWN_ISSUER):
        return (
            "the hub's certificate is signed by nobody whom this machine trusts; name the certificate of your own "
            "authority with ca_file (--ca-file)"
        )
    if code == _EXPIRED:
        return "the hub's certificate has expired; renew it"
    if code == _NOT_YET:
        return "the hub's certificate is not valid yet; set the clocks of both machines right"
    return f"the hub's certificate is not accepted ({error.verify_message}); mend it"


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error behind an error of a library, however deep it lies."""
    for _ in range(8):
        if error is None or isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None

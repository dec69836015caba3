"""The agent's requests to a hub that does not know it yet: use a code, announce itself, change its key.

Keys and words come in, checked answers of the hub go out. The one rule: an answer counts only if it is signed by the
key that was expected, for this very request; with a code that is the key whose fingerprint the code carries. Shapes
of ``wire/enrolment.py``, over HTTP.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from lastgood import __version__
from lastgood.agent import tls
from lastgood.agent.address import api_address, is_loopback
from lastgood.auth.identity import KEY_BYTES, KeyPair, fingerprint, sign, verify
from lastgood.errors import AccessError, ConfigError, LastgoodError, Unreachable
from lastgood.wire import enrolment as wire
from lastgood.wire.enrolment import Announce, Announced, Enrolled, Redeem, Rekey, Rekeyed, bytes_of, text_of

SECONDS = 30.0
LARGEST_ANSWER = 64 * 1024
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504, 507})

_T = TypeVar("_T", Enrolled, Announced, Rekeyed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the hub is and whom to trust on the way there."""

    hub_url: str
    insecure: bool = False
    ca_file: str | None = None

    @property
    def address(self) -> str:
        """The base of the hub's API. Raises ConfigError for an address that must not be used."""
        return api_address(self.hub_url, insecure=self.insecure)


class WrongHub(LastgoodError):
    """Who answered is not the hub that was meant, or somebody in between changed something."""


def redeem(place: Place, code_text: str, keys: KeyPair, *, hostname: str, name: str | None) -> Enrolled:
    """Use a code. Raises AccessError with the hub's own sentence, Unreachable, WrongHub."""
    code = wire.read_code(code_text)
    if code is None:
        raise ConfigError("This is no enrolment code; copy all of it, from lg_enrol_ to its end.")
    asked = Redeem(code=code_text.strip(), key=_key(keys), nonce=_nonce(), signature="", hostname=hostname, name=name)
    signature = sign(keys.private_key, wire.REDEEM_CONTEXT, *asked.parts(code.hub))
    asked = msgspec.structs.replace(asked, signature=text_of(signature))
    answer = _ask(place, wire.PATH, asked, Enrolled)
    _check_hub(answer.hub_key, code.hub)
    _check_signed(answer.hub_key, answer.signature, wire.ENROLLED_CONTEXT, answer.parts(asked))
    return answer


def announce(
    place: Place, keys: KeyPair, *, hostname: str, name: str | None, hub_key: bytes | None = None
) -> Announced:
    """Ask to be let in, or how that stands. ``hub_key`` is the hub's as it was seen before. Raises as ``redeem``."""
    asked = Announce(
        key=_key(keys),
        nonce=_nonce(),
        signature="",
        hostname=hostname,
        name=name,
        agent_version=__version__,
        system=f"{platform.system().lower()} {platform.machine()}"[:64],
    )
    signature = sign(keys.private_key, wire.ANNOUNCE_CONTEXT, *asked.parts())
    answer = _ask(place, wire.ANNOUNCE_PATH, msgspec.structs.replace(asked, signature=text_of(signature)), Announced)
    if hub_key is not None:
        _check_hub(answer.hub_key, fingerprint(hub_key))
    _check_signed(answer.hub_key, answer.signature, wire.ANNOUNCED_CONTEXT, answer.parts(asked))
    return answer


def offer_key(place: Place, host_id: str, keys: KeyPair, new: KeyPair, hub_key: bytes) -> None:
    """Make the new key known beside the one in force. Raises as ``redeem``."""
    asked = Rekey(step="offer", host_id=host_id, new_key=_key(new), nonce=_nonce(), new_signature="")
    signature = sign(keys.private_key, wire.REKEY_CONTEXT, *asked.parts(fingerprint(hub_key)))
    _rekey(place, msgspec.structs.replace(asked, signature=text_of(signature)), new, hub_key)


def use_key(place: Place, host_id: str, new: KeyPair, hub_key: bytes) -> None:
    """Tell the hub that the new key is in place here: the old one ends. Raises as ``redeem``."""
    asked = Rekey(step="use", host_id=host_id, new_key=_key(new), nonce=_nonce(), new_signature="")
    _rekey(place, asked, new, hub_key)


def _rekey(place: Place, asked: Rekey, new: KeyPair, hub_key: bytes) -> None:
    signature = sign(new.private_key, wire.REKEY_CONTEXT, *asked.parts(fingerprint(hub_key)))
    asked = msgspec.structs.replace(asked, new_signature=text_of(signature))
    answer = _ask(place, wire.REKEY_PATH, asked, Rekeyed)
    _check_hub(answer.hub_key, fingerprint(hub_key))
    _check_signed(answer.hub_key, answer.signature, wire.REKEYED_CONTEXT, answer.parts(asked))


def _ask(place: Place, path: str, body: msgspec.Struct, answer: type[_T]) -> _T:
    base = place.address
    here = is_loopback(urlsplit(base).hostname or "")
    verified = tls.context(place.ca_file)
    headers = {"content-type": "application/json", "user-agent": f"lastgood/{__version__}"}
    try:
        # A proxy from the environment is for the way out; the hub on this machine is not behind it.
        with (
            httpx.Client(verify=verified, timeout=SECONDS, trust_env=not here) as client,
            client.stream("POST", base + path, content=msgspec.json.encode(body), headers=headers) as response,
        ):
            raw = _bounded(response)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = tls.words(error) or str(error) or type(error).__name__
        raise Unreachable(f"The hub at {base} cannot be asked: {reason}.") from error
    if response.status_code != 200:
        raise _refusal(response, raw, base)
    try:
        return msgspec.json.decode(raw, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WrongHub(f"What answers at {base} is no lastgood hub; mend the address.") from error


def _bounded(response: httpx.Response) -> bytes:
    raw = b""
    for piece in response.iter_bytes():
        raw += piece
        if len(raw) > LARGEST_ANSWER:
            raise httpx.DecodingError("the answer is larger than any of a hub's")
    return raw


class _ErrorBody(msgspec.Struct):
    message: str


class _ErrorAnswer(msgspec.Struct):
    error: _ErrorBody


def _refusal(response: httpx.Response, raw: bytes, base: str) -> LastgoodError:
    status = response.status_code
    if response.is_redirect:
        there = response.headers.get("location", "elsewhere")
        return ConfigError(f"The hub at {base} sends us on to {_printable(there)}; use that address.")
    try:
        said = _printable(msgspec.json.decode(raw, type=_ErrorAnswer).error.message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = f"What answers at {base} said {status} and is no lastgood hub, or an older one; mend the address."
    return Unreachable(said) if status in _LATER else AccessError(said, status=status)


def _check_hub(hub_key: str, expected: str) -> None:
    found = fingerprint(bytes_of(hub_key))
    if found != expected:
        raise WrongHub(
            f"The hub shows the key {found}, and {expected} was expected; find out who answers at this address "
            "before anything else."
        )


def _check_signed(hub_key: str, signature: str, context: str, parts: tuple[bytes, ...]) -> None:
    raw = bytes_of(hub_key)
    if len(raw) != KEY_BYTES or not verify(raw, bytes_of(signature), context, *parts):
        raise WrongHub(
            "The answer is not signed by the hub's key for this request; somebody in between changed it. Revoke the "
            "code, look for the host on the hub's page, and find out who answers at this address."
        )


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)[:500]


def _key(keys: KeyPair) -> str:
    return text_of(keys.public_key)


def _nonce() -> str:
    return text_of(os.urandom(KEY_BYTES))

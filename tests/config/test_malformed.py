"""Whatever stands in a settings file or the environment, the answer is settings or a sentence, no traceback."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest

from lastgood.config.load import load, render_check
from lastgood.errors import ConfigError

SECRET = "canary-7f3a"
TOML = f"""
[server]
listen = "127.0.0.1:8080"
base_url = "https://backup.example.org"
trusted_proxies = ["10.0.0.0/8", "fd00::/8"]
data_dir = "/var/lib/lastgood"

[metrics]
token = "{SECRET}"
networks = ["192.0.2.0/24"]
shards = 2
partial_is_success = true

[retention]
runs_days = 400

[hub]
heartbeat_url = "https://hc.example.org/{SECRET}"

[log]
level = "info"
"""
YAML = f"""
server:
  listen: 127.0.0.1:8080
  trusted_proxies: [10.0.0.0/8, 'fd00::/8']
metrics:
  token: {SECRET}
  networks:
    - 192.0.2.0/24
  shards: 2
retention: {{runs_days: 400}}
log: &log
  level: info
"""
PIECES = (
    *(
        "[",
        "]",
        "{",
        "}",
        '"',
        "'",
        ":",
        "=",
        "\n",
        "\t",
        "- ",
        "? ",
        "&a ",
        "*a ",
        "!!python/object:os.system ",
        "<<: ",
    ),
    *(
        "<<: ",
        "!!binary ",
        "!!timestamp ",
        "!!set ",
        "!!omap ",
        "|",
        ">",
        "%",
        "@",
        "`",
        "\0",
        "\ufeff",
        "\u2028",
        "\ud7ff",
    ),
    *("9" * 5000, "-1", "1e999", ".nan", "0x", "1979-05-27T07:32:00Z", "1979-13-45", "~", "null", "true", "[[", "]]"),
    *("[" * 2000, "{a: " * 2000, "- " * 2000, "a." * 2000, "server", "metrics", "token", "\\u0000", "\\", "#"),
)


def mangled(text: str, chance: random.Random) -> bytes:
    """The text with a few pieces taken out, put in, doubled or changed; sometimes no text at all."""
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at = chance.randrange(len(text) + 1)
        length = chance.choice((0, 1, 3, 20))
        match chance.randrange(4):
            case 0:
                text = text[:at] + text[at + length :]
            case 1:
                text = text[:at] + chance.choice(PIECES) + text[at:]
            case 2:
                text = text[:at] + text[at : at + length] * 2 + text[at + length :]
            case _:
                text = text[:at] + chance.choice(PIECES) + text[at + length :]
    raw = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.1:
        at = chance.randrange(len(raw) + 1)
        raw = raw[:at] + chance.randbytes(3) + raw[at:]
    return raw


def answer(content: bytes, suffix: str) -> str | None:
    """The sentence of refusal; None if the settings were taken."""
    try:
        render_check(load({}, lambda _path: content, f"/etc/lastgood/lastgood{suffix}"))
    except ConfigError as refused:
        return str(refused)
    return None


def try_many(count: int, seed: int) -> None:
    chance = random.Random(seed)
    refused = longest = 0.0
    for number in range(count):
        text, suffix = ((TOML, ".toml"), (YAML, ".yaml"))[number % 2]
        content = mangled(text, chance)
        began = time.process_time()
        sentence = answer(content, suffix)
        longest = max(longest, time.process_time() - began)
        if sentence is not None:
            refused += 1
            assert sentence.endswith((".", "?")), sentence
            assert "\n" not in sentence, sentence
            assert len(sentence) < 2000, sentence[:300]
            assert SECRET not in sentence, sentence
    sys.stdout.write(f"{count} mangled files: {refused:.0f} refused with a sentence; {longest:.2f} s at most\n")
    assert refused > count / 3
    assert longest < 5


def test_mangled_settings_files_are_taken_or_refused_with_a_sentence() -> None:
    try_many(400, 20260401)


@pytest.mark.slow
def test_ten_thousand_mangled_settings_files_are_taken_or_refused_with_a_sentence() -> None:
    try_many(10_000, 20260402)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [*{below}, *{below}, *{below}, *{below}, *{below}, *{below}, *{below}, *{below}, *{below}]\n"
    for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".toml", b"a = " + b"[" * 100_000),
        (".yaml", b"a: " + b"[" * 100_000),
        (".yaml", b"a: " + b"{a: " * 50_000),
        (".toml", b"[metrics]\nshards = " + b"9" * 100_000),
        (".yaml", b"metrics:\n  shards: " + b"9" * 100_000),
        (".toml", b"[metrics]\nshards = '" + b"9" * 100_000 + b"'"),
        (".yaml", BOMB.encode() + b"metrics: {shards: *i}\n"),
        (".yaml", b"metrics: &m {token: *m}\n"),
        (".yaml", b"metrics: &m\n  networks: *m\n"),
        (".yaml", b"? [a, b]\n: c\n"),
        (".yaml", b"log: {level: !!timestamp x}\n"),
        (".yaml", b"log: {level: !!bool x}\n"),
        (".yaml", b"1: {a: b}\n"),
        (".yaml", b"server: {1: 2}\n"),
        (".yaml", b"--- a\n--- b\n"),
        (".toml", b"server = 1"),
        (".toml", b"[[server]]\nlisten = ':1'"),
        (".toml", b"[server]\nlisten = '" + b"1" * 100_000 + b":1'"),
        (".toml", b"[server]\nlisten = 'host:\\u0661'"),
        (".toml", "[server]\nlisten = 'host:٣٤'".encode()),
        (".toml", "[server]\nbase_url = 'http://host:٣٤'".encode()),
        (".toml", b"[server]\nbase_url = 'http://[::1'"),
        (".toml", b"[server]\ntls_cert = 1979-05-27"),
        (".toml", b"[server]\nsecret_key_file = []"),
        (".toml", b"[log]\nlevel = {}"),
        (".toml", b"[retention]\nruns_days = inf"),
        (".toml", b"[retention]\nruns_days = true"),
        (".json", b"{}"),
    ],
)
def test_files_made_to_break_the_reader_are_refused_with_a_sentence(suffix: str, content: bytes) -> None:
    sentence = answer(content, suffix)
    assert sentence is not None
    assert sentence.endswith((".", "?"))
    assert len(sentence) < 2000


def test_a_settings_file_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lastgood.toml"
    path.write_bytes(b"# " + b"x" * (3 * 1024 * 1024))
    with pytest.raises(ConfigError, match="larger than"):
        load({}, argv_config_path=str(path))


@pytest.mark.parametrize(
    "value", ["", " ", "\0", "9" * 5000, "a" * 100_000, "[", "::1", "\ud800", "0.0.0.0/0,", "true", "-1", "1_0"]
)
def test_any_text_in_the_environment_is_taken_or_refused_with_a_sentence(value: str) -> None:
    for name in ("SERVER__LISTEN", "SERVER__BASE_URL", "METRICS__NETWORKS", "METRICS__SHARDS", "LOG__LEVEL"):
        try:
            load({f"LASTGOOD_{name}": value}, _nothing)
        except ConfigError as refused:
            assert str(refused).endswith(".")
            assert len(str(refused)) < 2000


def _nothing(path: Path) -> bytes:
    raise FileNotFoundError(path)

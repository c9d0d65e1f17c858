import hashlib
import hmac
import logging
import stat

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landing.pseudonyms import PseudonymKeyError, hmac_sql, parse_key, read_or_create_key


@settings(max_examples=30, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.text(max_size=200))
def test_sql_hmac_is_hmac(secret, message):
    key = parse_key(secret.hex())
    with duckdb.connect() as connection:
        sql = f"SELECT {hmac_sql('$message')}"
        (got,) = connection.execute(sql, {**key.pads, "message": message}).fetchall()[0]
    assert got == hmac.new(secret, message.encode(), hashlib.sha256).hexdigest()


def test_a_development_key_is_made_once_privately_and_loudly(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        first = read_or_create_key(tmp_path)
    path = tmp_path / "pseudonym.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(bytes.fromhex(path.read_text().strip())) == 32
    assert first.warning and str(path) in caplog.text
    again = read_or_create_key(tmp_path)
    assert again.secret == first.secret and again.warning is None
    assert [p.name for p in tmp_path.iterdir()] == ["pseudonym.key"]
    for told in (repr(first), first.key_id, caplog.text):
        assert first.secret.hex() not in told and str(first.secret) not in told


def test_a_configured_key_wins_and_a_malformed_one_is_not_repeated(tmp_path):
    assert read_or_create_key(tmp_path, "ab" * 32).secret == b"\xab" * 32
    assert not list(tmp_path.iterdir())
    with pytest.raises(PseudonymKeyError) as error:
        parse_key("my secret phrase")
    assert "my secret" not in str(error.value)

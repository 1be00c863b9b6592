"""PostgreSQL gone, killed, full, forbidding: a clear line, nothing acknowledged lost, and no write after a failure."""

from __future__ import annotations

import time

import psycopg
import pytest
from kernel_doubles import T0
from pg_server import Server

from slipstream.model.errors import ConfigError, JournalError
from slipstream.model.events import Timer
from slipstream.runtime.journal import Journal, LedgerRows, open_journal
from slipstream.runtime.journal.address import FileAddress, parse_address

ONE = [Timer("x", T0)]
BACKEND = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'slipstream%'"


def test_a_lost_connection_is_for_good_and_frees_the_lock(server: Server, schema: str) -> None:
    with open_journal(schema) as first:
        first.append(ONE, [])
        server.run(f"SELECT pg_terminate_backend(pid) FROM ({BACKEND}) AS found")
        with pytest.raises(JournalError, match=r"cannot write: .*check that the server runs.*what was acknowledged"):
            first.append(ONE, [])
        with _writer(schema) as second:
            assert second.append(ONE, []) == 2
            for _ in range(2):
                with pytest.raises(JournalError, match="cannot write"):
                    first.append(ONE, [])
                with pytest.raises(JournalError, match="cannot write"):
                    list(first.read())
            assert len(list(second.read())) == 2


def test_a_reader_that_lost_the_server_says_so(server: Server, schema: str) -> None:
    with open_journal(schema) as writer:
        writer.append(ONE, [])
    with open_journal(schema, read_only=True) as reader:
        server.run(f"SELECT pg_terminate_backend(pid) FROM ({BACKEND}) AS found")
        with pytest.raises(JournalError, match="cannot read"):
            list(reader.read())


def test_a_killed_server_loses_nothing_acknowledged() -> None:
    server = Server()
    try:
        server.make()
        server.start()
        where = server.url("pod")
        with open_journal(where) as journal:
            for _ in range(50):
                journal.append(ONE, [])
            server.kill()
            with pytest.raises(JournalError, match="cannot write"):
                journal.append(ONE, [])
            with pytest.raises(JournalError, match=r"cannot open: .*refused.*check that the server runs"):
                open_journal(where)
            server.start()
            with pytest.raises(JournalError, match="cannot write"):
                journal.append(ONE, [])
        with open_journal(where) as journal:
            assert [seq for seq, _, _ in journal.read()] == list(range(1, 51))
            assert journal.append(ONE, []) == 51
    finally:
        server.close()


def _writer(where: str) -> Journal:
    for _ in range(200):
        try:
            return open_journal(where)
        except JournalError as error:
            if "is writing it" not in str(error):
                raise
            time.sleep(0.02)  # the server's own process has to end first
    raise AssertionError("the lock was not freed")


def test_a_full_disk_of_the_server(server: Server, schema: str) -> None:
    name = schema.partition("?schema=")[2]
    with open_journal(schema) as journal:
        journal.append(ONE, [])
        server.run(
            f"""CREATE FUNCTION {name}.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.seq >= 3 THEN
                    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
                END IF; RETURN NEW; END $$""",
            f"CREATE TRIGGER full_disk BEFORE INSERT ON {name}.rows FOR EACH ROW EXECUTE FUNCTION {name}.full()",
        )
        with pytest.raises(JournalError, match=r"No space left.*free space on the server's disk.*nothing recorded"):
            journal.append([*ONE, *ONE, *ONE], [])
        with pytest.raises(JournalError, match="No space left"):
            journal.append(ONE, [])
    server.run(f"DROP TRIGGER full_disk ON {name}.rows")
    with open_journal(schema) as journal:
        assert journal.last_seq == 1 and journal.append(ONE, []) == 2


def test_a_table_that_somebody_locks(server: Server, schema: str) -> None:
    name = schema.partition("?schema=")[2]
    with open_journal(schema, busy_timeout=0.1) as journal, psycopg.connect(server.url()) as other:
        other.execute(f"LOCK TABLE {name}.rows IN EXCLUSIVE MODE".encode())
        with pytest.raises(JournalError, match="another program holds a table"):
            journal.append(ONE, [])


def test_a_wrong_password_is_never_shown(server: Server) -> None:
    server.run("DROP ROLE IF EXISTS guarded", "CREATE ROLE guarded LOGIN PASSWORD 'right-one'")
    wrong = server.url("mine", "guarded", "s3cret-wrong")
    with pytest.raises(JournalError, match=r"password authentication failed.*check the user and the password") as found:
        open_journal(wrong)
    shown = [str(found.value), repr(parse_address(wrong)), str(parse_address(wrong))]
    error: BaseException | None = found.value
    while error is not None:
        shown.append(str(error))
        error = error.__cause__
    assert not any("s3cret-wrong" in text for text in shown)


def test_a_user_who_may_not_make_a_schema(server: Server) -> None:
    server.run("DROP ROLE IF EXISTS guarded", "CREATE ROLE guarded LOGIN PASSWORD 'right-one'")
    where = server.url("mine", "guarded", "right-one")
    with pytest.raises(JournalError, match=r"permission denied.*grant this user CREATE on the database") as found:
        open_journal(where)
    assert "right-one" not in str(found.value)
    server.run("CREATE SCHEMA mine AUTHORIZATION guarded")
    with open_journal(where) as journal:
        assert journal.append(ONE, []) == 1
    server.run("DROP SCHEMA mine CASCADE", "DROP ROLE guarded")


@pytest.mark.parametrize(
    ("user", "rest", "says"),
    [
        ("nobody_here", "", 'role "nobody_here" does not exist.*create the database, or the role'),
        ("postgres", "x", 'database "postgresx" does not exist.*create the database'),
    ],
)
def test_what_does_not_exist(server: Server, user: str, rest: str, says: str) -> None:
    with pytest.raises(JournalError, match=says):
        open_journal(server.url(user=user) + rest)


def test_nobody_listens() -> None:
    with pytest.raises(JournalError, match=r"cannot open: .*refused.*check that the server runs and is reachable"):
        LedgerRows("postgresql://me@127.0.0.1:1/fund?schema=pod")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the address is empty; give a path, sqlite:///path or postgresql://"),
        ("mysql://me:pw@host/x", "mysql:// is not a journal's database; give"),
        ("postgresql://me:pw@host", "names no database"),
        ("postgresql://me:pw@host:port/x", "cannot be read"),
        ("postgresql://me:pw@host/x?schema=A-b", "schema 'A-b' is not a plain name"),
        ("postgresql://me:pw@host/x?schema=pg_mine", "schema 'pg_mine' is not a plain name"),
        ("sqlite://", "not a file"),
        ("sqlite:///:memory:", "not a file"),
    ],
)
def test_addresses_that_make_no_sense(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as found:
        parse_address(text)
    assert "pw" not in str(found.value)


def test_addresses() -> None:
    assert str(parse_address("var/a.db")) == "var/a.db"
    assert parse_address("sqlite:///var/a.db") == parse_address("var/a.db")
    absolute = parse_address("sqlite:////var/a.db")
    assert isinstance(absolute, FileAddress) and absolute.path.is_absolute()
    assert str(parse_address("postgres://me:pw@h:1/d?schema=pod_1")) == "postgresql://me@h:1/d?schema=pod_1"
    assert str(parse_address("postgresql+psycopg://me@/d?host=/run")).endswith("?host=%2Frun&schema=public")

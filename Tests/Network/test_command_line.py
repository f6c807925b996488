"""What the program says to a person who typed something it cannot do. Needs no root."""
import socket
import subprocess

import pytest

from daemon import FAILED, NOT_RUNNING, USAGE, p2pvpn

pytestmark = pytest.mark.usefixtures("binary")

CRASH = ("Fatal error", "Stack dump", "Swift/", "Illegal instruction")


def refused(answer, code, *words):
    """It failed with this code, and its one line names what was wrong."""
    said = answer.stderr
    assert answer.returncode == code, answer
    assert said.strip() and not any(crash in said for crash in CRASH), said
    assert all(word in said for word in words), f"{words} in {said!r}"


@pytest.mark.parametrize("typed", [
    "nonsense",
    "join home --bogus",
    "join home --bootstrap",
    "join home --bootstrap a.example --address 300.1.1.1/16",
    "join home --bootstrap a.example --address 10.1.2.3/99",
    "join home --bootstrap a.example --pool nonsense",
    "join home --bootstrap a.example --listen :99999",
    "join home --bootstrap a.example --listen nonsense",
    "join home --bootstrap a.example:port",
    "join home --bootstrap a.example:0",
    "join home --bootstrap a.example --interface a-name-that-is-too-long",
    "join two communities --bootstrap a.example",
    "seed --relay fast",
    "seed --listen :-1",
    "status --check perhaps",
    "ping",
    "ping 100.80.0.1 --count none",
    "ping 100.80.0.1 --count 0",
    "lookup",
    "path 100.80.0.1 sideways",
])
def test_malformed_options_exit_with_2(typed, tmp_path):
    words = typed.split()
    state = [] if words[0] == "nonsense" else ["--state", tmp_path]
    try:
        answer = p2pvpn(*words, *state)
    except subprocess.TimeoutExpired:
        pytest.fail(f"`p2pvpn {typed}` was accepted")
    refused(answer, USAGE)
    assert not list(tmp_path.iterdir()), "nothing was made before the options were understood"


def test_a_secret_is_not_taken_from_the_command_line(tmp_path):
    refused(p2pvpn("join", "home", "--secret", "sesame", "--state", tmp_path), USAGE)


def test_a_secret_file_that_is_not_there(tmp_path):
    missing = tmp_path / "no-such-file"
    refused(p2pvpn("join", "home", "--bootstrap", "127.0.0.1", "--secret-file", missing, "--state", tmp_path / "s"),
            FAILED, str(missing))


@pytest.mark.parametrize("typed", ["status", "status --json", "status --check live", "peers", "ping 100.80.0.1",
                                   "lookup 100.80.0.1", "leave"])
def test_commands_without_a_running_node_exit_with_3(typed, tmp_path):
    refused(p2pvpn(*typed.split(), "--state", tmp_path), NOT_RUNNING)


def test_a_node_that_died_counts_as_not_running(tmp_path):
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(tmp_path / "api.sock"))        # nobody listens on it
    refused(p2pvpn("status", "--state", tmp_path), NOT_RUNNING)


def test_each_generated_secret_is_fresh_and_long_enough():
    one, two = (p2pvpn("keygen").stdout.strip() for _ in range(2))
    assert one != two and len(one) >= 43 and "\n" not in one       # 32 bytes as text


def test_help_and_version_succeed():
    for typed in ("--help", "join --help", "version"):
        answer = p2pvpn(*typed.split())
        assert answer.returncode == 0 and answer.stdout.strip(), answer

"""scripts/check-prose finds phrases to avoid in comments, strings and documents, and nothing in code."""

import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "scripts" / "check-prose"


def check(path, text):
    """Exit status and output for a file of this text."""
    path.write_text(text)
    done = subprocess.run(["sh", str(SCRIPT), str(path)], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("text", ["/* Who waits is served first. */\n", "/*\n * What is\n * owed.\n */\n",
                                  'f("bytes that are " "owed");\n', "x = '\"'; /* A greeting of who calls. */\n"])
def test_a_phrase_to_avoid_in_a_c_file_is_found(tmp_path, text):
    status, output = check(tmp_path / "module.c", text)
    assert status == 1
    assert len(output.splitlines()) == 1, output


@pytest.mark.parametrize("text", ["int who_waits, owed; /* Blocked clients. */\n", '#include "kv/graveyard.h"\n',
                                  "/* What is no longer used, the client who waits_for. */\n", 'f("\\"", owed, to, "x");\n'])
def test_code_and_plain_sentences_pass(tmp_path, text):
    assert check(tmp_path / "module.c", text) == (0, "")


def test_the_line_of_each_phrase_is_named(tmp_path):
    path = tmp_path / "page.md"
    status, output = check(path, "One line.\nWhat is owed, and to\nwhom nothing was granted.\n")
    assert status == 1
    assert [line.split(": ")[0] for line in output.splitlines()] == [f"{path}:2", f"{path}:2"]

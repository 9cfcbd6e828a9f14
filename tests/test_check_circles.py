"""scripts/check-circles finds modules of a layer that depend on each other, and nothing else."""

import os
import pathlib
import subprocess

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "scripts" / "check-circles"


def check(folder, files, known=""):
    """Exit status and output for a source folder with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    done = subprocess.run(["sh", str(SCRIPT), str(folder)], capture_output=True, text=True, check=False,
                          env={**os.environ, "CHECK_CIRCLES_KNOWN": known})
    assert done.stderr == ""
    return done.returncode, done.stdout


INCLUDES = {"a/one.h": '#include "a/two.h"\n', "a/two.h": '#include "a/three.h"\n', "a/three.h": '#include "a/one.h"\n'}
CALLS = {
    "a/all.h": "void one(void);\nvoid two(void);\n",
    "a/one.c": '#include "a/all.h"\n\nvoid\none(void)\n{\n\ttwo();\n}\n',
    "a/two.c": '#include "a/all.h"\n\nvoid\ntwo(void)\n{\n\tone();\n}\n',
}


def test_a_circle_of_includes_is_found_and_shown(tmp_path):
    status, output = check(tmp_path, INCLUDES)
    assert status == 1
    assert output.splitlines() == ["a: 3 modules depend on each other in a circle, not 0:",
                                   "  a/one -> two", "  a/three -> one", "  a/two -> three"]


def test_a_circle_of_calls_is_found_where_one_header_declares_both(tmp_path):
    status, output = check(tmp_path, CALLS)
    assert status == 1
    assert output.splitlines()[1:] == ["  a/one -> two", "  a/two -> one"]


def test_a_table_that_another_file_defines_counts_as_a_call(tmp_path):
    files = {**CALLS, "a/one.c": '#include "a/all.h"\n\nconst struct row rows[2] = {\n\t{two},\n};\n',
             "a/two.c": '#include "a/all.h"\n\nvoid\ntwo(void)\n{\n\tuse(rows);\n}\n'}
    assert check(tmp_path, files)[0] == 1


def test_comments_strings_members_and_static_functions_are_no_calls(tmp_path):
    text = '#include "a/all.h"\n\nvoid\ntwo(void)\n{\n\tx->one(".. one()"); /* one(),\n\t * one() */ y.one = \'"\';\n}\n'
    assert check(tmp_path, {**CALLS, "a/two.c": text}) == (0, "")
    text = '#include "a/all.h"\n\nstatic void\none(void)\n{\n}\n\nvoid\ntwo(void)\n{\n}\n'
    assert check(tmp_path, {**CALLS, "a/two.c": text}) == (0, "")


def test_a_file_without_a_header_belongs_to_the_module_of_its_prefix(tmp_path):
    files = {
        "a/one.h": "void one_begin(void);\nvoid one_end(void);\n",
        "a/one.c": '#include "a/one.h"\n\nvoid\none_begin(void)\n{\n\tone_end();\n}\n',
        "a/one_end.c": '#include "a/one.h"\n\nvoid\none_end(void)\n{\n\tone_begin();\n}\n',
    }
    assert check(tmp_path, files) == (0, "")


def test_layers_and_tests_do_not_make_circles(tmp_path):
    files = {"a/one.h": '#include "b/two.h"\n', "b/two.h": '#include "a/one.h"\n',
             "a/three.h": "", "a/three.c": '#include "a/three.h"\n\nvoid\nthree(void)\n{\n}\n',
             "a/testing_three.h": '#include "a/three.h"\n', "a/three_test.c": '#include "a/three.h"\nint main;\n'}
    assert check(tmp_path, files) == (0, "")


def test_a_known_circle_may_neither_grow_nor_shrink_unnoticed(tmp_path):
    assert check(tmp_path, INCLUDES, "a=3 b=0") == (0, "")
    assert check(tmp_path, INCLUDES, "a=2")[0] == 1
    status, output = check(tmp_path, INCLUDES, "a=4")
    assert status == 1
    assert output == "a: the largest circle has 3 modules, not 4: change the list in check-circles\n"

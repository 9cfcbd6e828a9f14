"""libfanfare-core as it is installed: examples/c/in_process.c compiles with what pkg-config says, and runs."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("FANFARE_SANITIZED")), reason="a build with sanitizers is not for other programs"
)

SOURCE = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ["FANFARED"]).resolve().parent
EXPECTED = """live: news.weather: rain
live: news.weather: wind
live: news.weather: sun
late: 2 kept messages follow
late: news.weather: wind
late: news.weather: sun
"""


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, **options).stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An installation in a folder of its own, which nothing else can see."""
    root = tmp_path_factory.mktemp("installed")
    run("make", "-C", str(BUILD), "install", f"DESTDIR={root}")
    (prefix,) = {path.parent.parent.parent for path in root.rglob("pkgconfig/fanfare-core.pc")}
    return root, prefix


def pkg_config(installed, *arguments):
    root, prefix = installed
    environment = dict(
        os.environ, PKG_CONFIG_SYSROOT_DIR=str(root), PKG_CONFIG_LIBDIR=str(prefix / "lib" / "pkgconfig")
    )
    return shlex.split(run("pkg-config", *arguments, "fanfare-core", env=environment))


def compile_example(installed, program, *flags):
    compiler = shlex.split(os.environ.get("CC", "cc"))
    example = SOURCE / "examples" / "c" / "in_process.c"
    warnings = ["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    run(*compiler, *warnings, *pkg_config(installed, "--cflags"), "-o", str(program), str(example), *flags)


def test_the_example_runs_with_the_shared_library(installed, tmp_path):
    compile_example(installed, tmp_path / "example", *pkg_config(installed, "--libs"))
    library = installed[1] / "lib"
    assert "libfanfare-core.so.0 => " + str(library) in run(
        "ldd", str(tmp_path / "example"), env=dict(os.environ, LD_LIBRARY_PATH=str(library))
    )
    output = run(str(tmp_path / "example"), env=dict(os.environ, LD_LIBRARY_PATH=str(library)))
    assert output == EXPECTED


def test_the_example_runs_with_the_static_library(installed, tmp_path):
    flags = pkg_config(installed, "--static", "--libs")
    compile_example(installed, tmp_path / "example", "-static", *flags)
    assert run(str(tmp_path / "example")) == EXPECTED


def test_a_program_may_have_the_names_that_the_library_hides(installed, tmp_path):
    program = tmp_path / "names.c"
    program.write_text(
        """#include <fanfare/core.h>
#include <stdlib.h>
void *xmalloc(size_t len);
void hub_free(void *hub);
void *xmalloc(size_t len) { (void)len; abort(); }
void hub_free(void *hub) { (void)hub; abort(); }
int main(void) {
	struct fanfare_hub *hub;
	return fanfare_hub_new(NULL, &hub) != FANFARE_OK || fanfare_hub_free(hub) != FANFARE_OK;
}
"""
    )
    compiler = shlex.split(os.environ.get("CC", "cc"))
    flags = [*pkg_config(installed, "--cflags"), str(program), *pkg_config(installed, "--static", "--libs")]
    run(*compiler, "-static", "-o", str(tmp_path / "names"), *flags)
    run(str(tmp_path / "names"))


def test_headers_are_those_of_the_library_in_every_language(installed, tmp_path):
    for language, standard in (("c", "c11"), ("c", "c2x"), ("c++", "c++17")):
        for header in sorted((installed[1] / "include" / "fanfare").glob("*.h")):
            code = f"#include <fanfare/{header.name}>\n#include <fanfare/{header.name}>\n"
            flags = [f"-std={standard}", "-pedantic", "-Wall", "-Werror", "-fsyntax-only", "-x", language, "-"]
            run("cc", *pkg_config(installed, "--cflags"), *flags, input=code)

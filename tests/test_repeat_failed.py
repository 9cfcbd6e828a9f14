"""scripts/repeat-failed runs tests again that failed beside others, alone, and counts those that pass then."""

import os
import pathlib
import subprocess

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent / "scripts"
UNIT, END_TO_END = "src/base/hex_test", "tests/test_pubsub.py"
# A build whose tests fail as often as the file FAILURES in its folder says, and then pass.
MAKEFILE = """
check:
	@mkdir -p src/base tests
	@left=$$(cat failures); \\
	result=PASS text="$$(cat passing)"; \\
	if [ "$$left" -gt 0 ]; then result=FAIL; text="$$(cat failing)"; echo $$((left - 1)) >failures; fi; \\
	for test in $(TESTS); do \\
		log=$${test%.py}; \\
		echo ":global-test-result: $$result" >$$log.trs; \\
		printf '%s\\n' "$$text" "threads $$FANFARE_TEST_IO_THREADS, options $$FANFARE_TEST_OPTIONS" >$$log.log; \\
		echo "$$result: $$test"; \\
	done; \\
	echo "# TOTAL: 1"; \\
	[ $$result = PASS ]
"""
PASSING, FAILING = "100%: Checks: 9, Failures: 0, Errors: 0", "77%: Checks: 9, Failures: 2, Errors: 0\nfirst log"


class Run:
    """The output of a run of CI with steps that this class makes."""

    def __init__(self, folder):
        self.folder = folder
        self.out = folder / "ci"
        self.out.mkdir()

    def step(self, name, failures, tests=UNIT, failing=FAILING, makefile=MAKEFILE, **variables):
        """Runs a step whose tests fail so many times; returns what check-build said."""
        build = self.folder / name
        build.mkdir()
        for file, text in {"Makefile": makefile, "failures": failures, "passing": PASSING, "failing": failing}.items():
            (build / file).write_text(f"{text}\n")
        done = self.script("check-build", build, f"TESTS={tests}", FANFARE_KEEP_FAILED=self.out / f"{name}.failed",
                           **variables)
        passed, failed = [int(word) for word in done.splitlines()[-1].split() if word.isdigit()]
        (self.out / f"{name}.result").write_text(f"{passed} {failed} 7 1.5 0.5 the step {name}\n")
        return done

    def script(self, name, *words, **variables):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("FANFARE", "MAKE", "MFLAGS"))}
        environment.update({key: str(value) for key, value in variables.items()}, srcdir=str(SCRIPTS.parent))
        return subprocess.run(["sh", SCRIPTS / name, *words], capture_output=True, text=True, check=False,
                              env=environment).stdout

    def repeat(self):
        return self.script("repeat-failed", self.out)

    def result(self, name):
        return (self.out / f"{name}.result").read_text().strip()

    def passed_alone(self):
        return (self.out / "passed-alone").read_text().splitlines()


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_a_run_without_failures_repeats_nothing(run):
    run.step("calm", 0)
    assert run.repeat() == ""
    assert run.result("calm") == "9 0 7 1.5 0.5 the step calm"
    assert run.passed_alone() == []


def test_a_test_that_passes_alone_counts_as_passed_and_its_first_log_is_shown(run):
    assert run.step("busy", 1).splitlines()[-1] == "7 passed, 2 failed"
    output = run.repeat()
    assert run.result("busy") == "9 0 7 1.5 0.5 the step busy"
    assert run.passed_alone() == [f"failed beside the others, passed alone: {UNIT} (the step busy)"]
    assert run.passed_alone()[0] in output and "\nfirst log\n" in output
    assert "first log" in (run.out / f"busy.failed/{UNIT}.log").read_text()


def test_a_test_that_fails_again_stays_failed(run):
    run.step("broken", 2)
    assert f"failed again, alone: {UNIT} (the step broken)" in run.repeat()
    assert run.result("broken") == "7 2 7 1.5 0.5 the step broken"
    assert run.passed_alone() == []


def test_a_test_is_repeated_as_it_was_run(run):
    variables = {"FANFARE_TEST_IO_THREADS": "4", "FANFARE_TEST_OPTIONS": "--seccomp kill"}
    run.step("loops", 1, tests=END_TO_END, failing="= 2 failed, 7 passed in 1.0s =", **variables)
    run.repeat()
    log = (run.folder / "loops" / "tests" / "test_pubsub.log").read_text()
    assert log == PASSING + "\nthreads 4, options --seccomp kill\n"
    assert run.passed_alone() == [f"failed beside the others, passed alone: {END_TO_END} (the step loops)"]


@pytest.mark.parametrize("report", [
    "WARNING: ThreadSanitizer: data race (pid=1)", "==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1",
    "==7==ERROR: LeakSanitizer: detected memory leaks", "../a.c:1:2: runtime error: signed integer overflow",
    "==7== Invalid read of size 8", "==7== 8 bytes in 1 blocks are definitely lost in loss record 1 of 1",
    "a_test.c:1:E:a:b:0: (after this point) Received signal 11 (Segmentation fault)", "f: Assertion `0' failed.",
    "AssertionError: fanfared ended with -11:"])
def test_a_report_of_a_fault_stays_a_failure(run, report):
    run.step("faulty", 1, failing=f"{FAILING}\n{report}")
    assert "not repeated" in run.repeat()
    assert run.result("faulty") == "7 2 7 1.5 0.5 the step faulty"
    assert run.passed_alone() == []


@pytest.mark.parametrize("leak", [
    "==7==ERROR: LeakSanitizer: detected memory leaks\nSUMMARY: AddressSanitizer: 8 byte(s) leaked in 1 allocation(s).",
    "==7== 8 bytes in 1 blocks are definitely lost in loss record 1 of 1\n==7==    at 0x1: malloc (in /usr/lib/valgrind)"])
def test_a_leak_behind_a_failed_check_is_not_a_fault(run, leak):
    run.step("late", 1, failing=f"{FAILING}\n{leak}\n/a/a_test.c:7:F:net/a:it_comes:0: what was waited for never came")
    run.repeat()
    assert run.result("late") == "9 0 7 1.5 0.5 the step late"
    assert run.passed_alone() == [f"failed beside the others, passed alone: {UNIT} (the step late)"]


def test_with_more_than_five_failed_programs_none_is_repeated(run):
    for number in range(5):
        run.step(f"step-{number}", 1)
    run.step("check", 1, tests="scripts/check-format", makefile=MAKEFILE.replace("src/base", "src/base scripts"))
    run.repeat()
    assert len(run.passed_alone()) == 5
    for number in range(6):
        run.step(f"again-{number}", 1)
    assert "so none is repeated" in run.repeat()
    assert run.passed_alone() == []
    assert run.result("again-0").startswith("7 2 ")


def test_other_failures_are_not_repeated(run):
    run.step("style", 1, tests="scripts/check-format", makefile=MAKEFILE.replace("src/base", "src/base scripts"))
    run.step("compiling", 1, makefile=MAKEFILE.replace("# TOTAL: 1", "a.c:1: error: what?"))
    (run.out / "analysis.result").write_text("0 1 7 1.5 0.5 static analysis\n")
    assert run.repeat() == ""
    assert run.result("style").startswith("7 2 ") and run.result("compiling").startswith("7 2 ")
    assert run.result("analysis").startswith("0 1 ")

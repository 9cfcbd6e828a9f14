#include "config.h"

#include "import/manifest.h"

#include <check.h>
#include <string.h>

#include "base/alloc.h"
#include "base/testing.h"

/* The files as "name number[ base]", one a line, or the error. Returns owned. */
static char *
parse(struct slice text)
{
	struct manifest manifest;
	struct buffer out = {0}, error = {0};
	char *result;

	if (manifest_parse(&manifest, text, &error)) {
		for (size_t i = 0; i < manifest.count; i++)
			buffer_appendf(&out, "%s %d%s\n", manifest.files[i].name,
			    (int)manifest.files[i].number,
			    manifest.files[i].is_base ? " base" : "");
	} else {
		buffer_append_slice(&out, buffer_slice(&error));
	}
	result = xasprintf("%.*s", (int)out.len, out.ptr);
	manifest_release(&manifest);
	buffer_release(&out);
	buffer_release(&error);
	return result;
}

static void
assert_parsed(const char *text, const char *expected)
{
	char *result = parse(slice_of(text));

	ck_assert_str_eq(result, expected);
	xfree(result);
}

START_TEST(files_are_in_their_order)
{
	assert_parsed("file a.2.base.rdb seq 2 type b\n"
		      "file a.1.base.rdb seq 1 type h\n"
		      "# a comment\n"
		      "\n"
		      "file a.3.incr.aof seq 3 type i\n"
		      "file a.4.incr.aof seq 4 type i",
	    "a.2.base.rdb 2 base\na.3.incr.aof 3\na.4.incr.aof 4\n");
}
END_TEST

START_TEST(names_may_be_quoted)
{
	assert_parsed("file \"with blank\\x2e\" seq 1 type i\n", "with blank. 1\n");
}
END_TEST

START_TEST(names_cannot_leave_the_folder)
{
	static const char *const names[] = {
	    "../a", "/etc/passwd", "..", ".", "a/b", "\"\"", "\"a\\x00b\"", "\"\\x2e\\x2e\""};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *text = xasprintf("file %s seq 1 type i\n", names[i]);

		assert_parsed(text, "line 1: no plain file name");
		xfree(text);
	}
}
END_TEST

START_TEST(mistakes_are_named_with_their_line)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
	    {"", "names no files"},
	    {"# nothing\n", "names no files"},
	    {"#\nseq 1 type i\n", "line 2: no plain file name"},
	    {"file a type i\n", "line 1: no number (seq)"},
	    {"file a seq 0 type i\n", "line 1: no number (seq)"},
	    {"file a seq -1 type i\n", "line 1: no number (seq)"},
	    {"file a seq 1\n", "line 1: unknown type: b, h and i are known"},
	    {"file a seq 1 type x\n", "line 1: unknown type: b, h and i are known"},
	    {"file a seq 1 type i\nfile b seq 1 type b\n",
		"line 2: a base file must be the first file"},
	    {"file a seq 2 type i\nfile b seq 2 type i\n",
		"line 2: the numbers of the files do not increase"},
	    {"file \"a seq 1 type i\n", "line 1: unbalanced quotes"},
	    {"1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7\n", "line 1: too many words"},
	};
	char line[1100];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_parsed(cases[i].text, cases[i].expected);
	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	assert_parsed(line, "line 1: longer than 1024 bytes");
}
END_TEST

int
main(void)
{
	return testing_main("import/manifest", NULL, NULL,
	    (const TTest *[]){files_are_in_their_order, names_may_be_quoted,
		names_cannot_leave_the_folder, mistakes_are_named_with_their_line, NULL});
}

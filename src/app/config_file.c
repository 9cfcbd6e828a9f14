#include "config.h"

#include "app/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hex.h"

enum {
	MAX_FILE_BYTES = 16 << 20,
	MAX_DEPTH = 16,
	MAX_FILES = 256, /* in all: a file may include itself twice */
};

void
config_words_release(struct config_words *words)
{
	xfree(words->words);
	buffer_release(&words->bytes);
	*words = (struct config_words){0};
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_quote(char c)
{
	return c == '"' || c == '\'';
}

/* Decodes an escape sequence in double quotes; at is behind the backslash. Returns the index behind
 * the sequence. */
static size_t
unescape(struct slice line, size_t at, char *out)
{
	static const char letters[] = "nrtba", bytes[] = "\n\r\t\b\a";
	const char *letter;

	if (line.ptr[at] == 'x' && at + 2 < line.len && hex_digit(line.ptr[at + 1]) >= 0 &&
	    hex_digit(line.ptr[at + 2]) >= 0) {
		*out = (char)(hex_digit(line.ptr[at + 1]) * 16 + hex_digit(line.ptr[at + 2]));
		return at + 3;
	}
	letter = memchr(letters, line.ptr[at], sizeof(letters) - 1);
	*out = letter != NULL ? bytes[letter - letters] : line.ptr[at];
	return at + 1;
}

/* at is behind the opening quote. Returns the index behind the closing one, 0 if the quoting is
 * invalid. */
static size_t
split_quoted(struct slice line, size_t at, char quote, struct buffer *out)
{
	while (at < line.len && line.ptr[at] != quote) {
		char byte = line.ptr[at++];

		if (byte == '\\' && at < line.len) {
			if (quote == '"')
				at = unescape(line, at, &byte);
			else if (line.ptr[at] == '\'')
				byte = line.ptr[at++];
		}
		buffer_append(out, &byte, 1);
	}
	if (at == line.len)
		return 0;
	at++;
	return at == line.len || is_blank(line.ptr[at]) ? at : 0;
}

static size_t
split_word(struct slice line, size_t at, struct buffer *out)
{
	size_t from = at;

	while (at < line.len && !is_blank(line.ptr[at]) && !is_quote(line.ptr[at]))
		at++;
	buffer_append(out, line.ptr + from, at - from);
	if (at < line.len && is_quote(line.ptr[at]))
		return split_quoted(line, at + 1, line.ptr[at], out);
	return at;
}

static void
add_word(struct config_words *words, struct slice word)
{
	if (words->count == words->room) {
		words->room = words->room > 0 ? words->room * 2 : 8;
		words->words = xrealloc(words->words, words->room * sizeof(*words->words));
	}
	words->words[words->count++] = word;
}

bool
config_split(struct slice line, struct config_words *words)
{
	size_t at = 0;

	words->count = 0;
	buffer_clear(&words->bytes);
	/* A decoded word is never longer than its source, so bytes is not moved and slices of it
	 * stay valid. */
	buffer_reserve(&words->bytes, line.len + 1);
	for (;;) {
		size_t from = words->bytes.len;

		while (at < line.len && is_blank(line.ptr[at]))
			at++;
		if (at == line.len)
			return true;
		at = split_word(line, at, &words->bytes);
		if (at == 0)
			return false;
		add_word(words, (struct slice){words->bytes.ptr + from, words->bytes.len - from});
	}
}

struct slice
config_trim(struct slice line)
{
	while (line.len > 0 && is_blank(line.ptr[0])) {
		line.ptr++;
		line.len--;
	}
	while (line.len > 0 && is_blank(line.ptr[line.len - 1]))
		line.len--;
	if (line.len > 0 && line.ptr[0] == '#')
		line.len = 0;
	return line;
}

bool
config_next_line(struct slice *rest, struct slice *line)
{
	const char *end;

	if (rest->len == 0)
		return false;
	end = memchr(rest->ptr, '\n', rest->len);
	*line = (struct slice){rest->ptr, end != NULL ? (size_t)(end - rest->ptr) : rest->len};
	rest->ptr += line->len;
	rest->len -= line->len;
	if (rest->len > 0) {
		rest->ptr++;
		rest->len--;
	}
	return true;
}

bool
config_slurp(const char *path, struct buffer *out)
{
	size_t before = out->len;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	do {
		got = read(fd, buffer_reserve(out, 16384), 16384);
		if (got > 0)
			out->len += (size_t)got;
		if (out->len - before > MAX_FILE_BYTES) {
			got = -1;
			errno = EFBIG;
		}
	} while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0) {
		int saved_errno = errno;

		close(fd);
		errno = saved_errno;
		return false;
	}
	close(fd);
	return true;
}

/* The state that a file shares with all files that it includes. */
struct reading {
	config_visit visit;
	void *arg;
	struct buffer *error;
	enum config_include include;
	unsigned int depth;
	unsigned int files;
	unsigned int mistakes_max;
	unsigned int mistakes;
	bool is_stopped; /* what follows is not read */
};

static bool read_bytes(struct reading *r, struct slice bytes, const char *path);

static bool
is_pattern(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (strchr("*?[", name.ptr[i]) != NULL)
			return true;
	return false;
}

/* A relative name is relative to the folder of `from`, the including file. If the name is a
 * pattern, so is the result. */
static void
write_included_path(struct slice name, const char *from, struct buffer *path)
{
	const char *slash = strrchr(from, '/');

	if (name.ptr[0] != '/' && slash != NULL) {
		for (; from <= slash; from++) {
			if (is_pattern(name) && strchr("*?[\\", *from) != NULL)
				buffer_append_str(path, "\\");
			buffer_append(path, from, 1);
		}
	}
	buffer_append_slice(path, name);
	buffer_append(path, "", 1);
}

static void
explain_include(const char *path, struct buffer *text)
{
	const char *reason = strerror(errno);

	buffer_append_str(text, "include ");
	buffer_append_escaped(text, slice_of(path));
	buffer_appendf(text, ": %s", reason);
}

static bool
read_one_included(struct reading *r, const char *path, struct buffer *text)
{
	struct buffer bytes = {0};
	bool ok = false;

	if (r->depth >= MAX_DEPTH || r->files >= MAX_FILES) {
		buffer_appendf(text,
		    "include goes too deep: allowed are %d levels and %d files in all", MAX_DEPTH,
		    MAX_FILES);
		r->is_stopped = true;
		return false;
	}
	r->depth++;
	r->files++;
	if (config_slurp(path, &bytes))
		ok = read_bytes(r, buffer_slice(&bytes), path);
	else
		explain_include(path, text);
	r->depth--;
	buffer_release(&bytes);
	return ok;
}

/* All files that the glob matches, in the order of their names. As in Redis, none is no mistake. */
static bool
read_matching(struct reading *r, const char *pattern, struct buffer *text)
{
	glob_t found = {0};
	bool ok = true;

	if (glob(pattern, 0, NULL, &found) == GLOB_NOSPACE)
		abort(); /* as whenever memory runs out */
	for (size_t i = 0; i < found.gl_pathc && text->len == 0 && !r->is_stopped; i++)
		ok = read_one_included(r, found.gl_pathv[i], text) && ok;
	globfree(&found);
	return ok;
}

/* False: text says what is wrong with the include, or is empty if the mistakes are inside the
 * included file; r->error then has them. */
static bool
read_included(struct reading *r, const struct slice *values, size_t count, const char *from,
    struct buffer *text)
{
	struct buffer path = {0};
	bool ok;

	if (r->include == CONFIG_NO_INCLUDE) {
		buffer_append_str(text, "include is not allowed here");
		return false;
	}
	if (count != 1 || values[0].len == 0 || values[0].len > 4095 ||
	    memchr(values[0].ptr, '\0', values[0].len) != NULL) {
		buffer_append_str(text, "include takes one value: the path of a file");
		return false;
	}
	write_included_path(values[0], from, &path);
	ok = is_pattern(values[0]) ? read_matching(r, path.ptr, text)
				   : read_one_included(r, path.ptr, text);
	buffer_release(&path);
	return ok;
}

static bool
read_line(struct reading *r, struct slice line, struct config_words *words, const char *path,
    struct buffer *text)
{
	if (memchr(line.ptr, '\0', line.len) != NULL) {
		buffer_append_str(text, "a NUL byte: a configuration is text");
		return false;
	}
	if (!config_split(line, words)) {
		buffer_append_str(
		    text, "unbalanced quotes: a quote is closed before a blank or the line's end");
		return false;
	}
	if (slice_is_nocase(words->words[0], "include"))
		return read_included(r, words->words + 1, words->count - 1, path, text);
	return r->visit(r->arg, words->words[0], words->words + 1, words->count - 1, text);
}

void
config_add_mistake(struct slice text, struct buffer *error)
{
	if (error->len > 0)
		buffer_append_str(error, "\n");
	buffer_append_slice(error, text);
}

static void
note_mistake(struct reading *r, const char *path, unsigned int number, const struct buffer *text)
{
	struct buffer line = {0};

	buffer_appendf(&line, "%s:%u: ", path, number);
	buffer_append_slice(&line, buffer_slice(text));
	config_add_mistake(buffer_slice(&line), r->error);
	buffer_release(&line);
	if (++r->mistakes < r->mistakes_max)
		return;
	r->is_stopped = true;
	if (r->mistakes_max > 1)
		buffer_appendf(r->error, "\nreading stopped after %u mistakes", r->mistakes_max);
}

static bool
read_bytes(struct reading *r, struct slice bytes, const char *path)
{
	struct config_words words = {0};
	struct buffer text = {0};
	struct slice line;
	unsigned int number = 0;
	bool ok = true;

	while (!r->is_stopped && config_next_line(&bytes, &line)) {
		number++;
		line = config_trim(line);
		if (line.len == 0 || read_line(r, line, &words, path, &text))
			continue;
		ok = false;
		/* If text is empty, the mistake is in an included file, and is noted already. */
		if (text.len > 0)
			note_mistake(r, path, number, &text);
		buffer_clear(&text);
	}
	buffer_release(&text);
	config_words_release(&words);
	return ok;
}

bool
config_read_bytes(struct slice bytes, const char *path, enum config_include include,
    config_visit visit, void *arg, struct buffer *error)
{
	struct reading r = {
	    .visit = visit, .arg = arg, .error = error, .include = include, .mistakes_max = 1};

	return read_bytes(&r, bytes, path);
}

bool
config_read_file(const char *path, config_visit visit, void *arg, struct buffer *error)
{
	struct reading r = {.visit = visit,
	    .arg = arg,
	    .error = error,
	    .include = CONFIG_INCLUDE,
	    .mistakes_max = CONFIG_MISTAKES_MAX};
	struct buffer bytes = {0};
	bool ok = false;

	if (config_slurp(path, &bytes))
		ok = read_bytes(&r, buffer_slice(&bytes), path);
	else
		buffer_appendf(error, "%s: %s", path, strerror(errno));
	buffer_release(&bytes);
	return ok;
}

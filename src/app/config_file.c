#include "config.h"

#include "app/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
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
};

static bool read_bytes(struct reading *r, struct slice bytes, const char *path);

/* A relative name is relative to the folder of `from`, the including file. */
static char *
included_path(struct slice name, const char *from)
{
	const char *slash = strrchr(from, '/');
	int folder_len = slash != NULL ? (int)(slash - from + 1) : 0;

	if (name.ptr[0] == '/')
		folder_len = 0;
	return xasprintf("%.*s%.*s", folder_len, from, (int)name.len, name.ptr);
}

/* False: text says what is wrong with the include, or is empty if the error is inside the included
 * file; r->error then has it. */
static bool
read_included(struct reading *r, const struct slice *values, size_t count, const char *from,
    struct buffer *text)
{
	struct buffer bytes = {0};
	char *path;
	bool ok = false;

	if (r->include == CONFIG_NO_INCLUDE) {
		buffer_append_str(text, "include is not allowed here");
		return false;
	}
	if (count != 1 || values[0].len == 0 || values[0].len > 4095 ||
	    memchr(values[0].ptr, '\0', values[0].len) != NULL) {
		buffer_append_str(text, "include takes one value: the path of a file");
		return false;
	}
	if (r->depth >= MAX_DEPTH || r->files >= MAX_FILES) {
		buffer_appendf(text,
		    "include goes too deep: allowed are %d levels and %d files in all", MAX_DEPTH,
		    MAX_FILES);
		return false;
	}
	path = included_path(values[0], from);
	r->depth++;
	r->files++;
	if (config_slurp(path, &bytes))
		ok = read_bytes(r, buffer_slice(&bytes), path);
	else
		buffer_appendf(text, "include %s: %s", path, strerror(errno));
	r->depth--;
	buffer_release(&bytes);
	xfree(path);
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

static bool
read_bytes(struct reading *r, struct slice bytes, const char *path)
{
	struct config_words words = {0};
	struct buffer text = {0};
	struct slice line;
	unsigned int number = 0;
	bool ok = true;

	while (ok && config_next_line(&bytes, &line)) {
		number++;
		line = config_trim(line);
		if (line.len > 0)
			ok = read_line(r, line, &words, path, &text);
	}
	/* If text is empty, the error is in an included file, and r->error has it already. */
	if (text.len > 0) {
		buffer_appendf(r->error, "%s:%u: ", path, number);
		buffer_append_slice(r->error, buffer_slice(&text));
	}
	buffer_release(&text);
	config_words_release(&words);
	return ok;
}

bool
config_read_bytes(struct slice bytes, const char *path, enum config_include include,
    config_visit visit, void *arg, struct buffer *error)
{
	struct reading r = {.visit = visit, .arg = arg, .error = error, .include = include};

	return read_bytes(&r, bytes, path);
}

bool
config_read_file(const char *path, config_visit visit, void *arg, struct buffer *error)
{
	struct buffer bytes = {0};
	bool ok = false;

	if (config_slurp(path, &bytes))
		ok = config_read_bytes(
		    buffer_slice(&bytes), path, CONFIG_INCLUDE, visit, arg, error);
	else
		buffer_appendf(error, "%s: %s", path, strerror(errno));
	buffer_release(&bytes);
	return ok;
}

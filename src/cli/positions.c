#include "config.h"

#include "cli/positions.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#define FIRST_LINE "fanfare positions 1"
#define FILE_MAX_BYTES ((size_t)256 * 1024 * 1024)

struct positions {
	const char *path;
	char *new_path; /* what is written before it gets the name */
	char **names;
	size_t count;
	struct position *of;
	struct position seen;
	bool changed;
};

bool
positions_parse(struct slice text, struct position *position)
{
	const char *dash = memchr(text.ptr, '-', text.len);
	size_t len = dash != NULL ? (size_t)(dash - text.ptr) : 0;

	return dash != NULL && slice_to_u64((struct slice){text.ptr, len}, &position->epoch) &&
	       slice_to_u64((struct slice){dash + 1, text.len - len - 1}, &position->seq);
}

/* The position applies to the newest of the same epoch: a position of another one is older. */
static struct position
newest(struct position own, struct position seen)
{
	if (own.epoch != 0 && own.epoch == seen.epoch && seen.seq > own.seq)
		return seen;
	return own;
}

static bool
take_line(struct positions *p, struct slice line)
{
	const char *space = memchr(line.ptr, ' ', line.len);
	struct position position;
	struct slice number, name;

	if (space == NULL)
		return false;
	number = (struct slice){line.ptr, (size_t)(space - line.ptr)};
	name = (struct slice){space + 1, line.len - number.len - 1};
	if (!positions_parse(number, &position) || position.epoch == 0)
		return false;
	for (size_t i = 0; i < p->count; i++) {
		struct buffer escaped = {0};

		buffer_append_escaped(&escaped, slice_of(p->names[i]));
		if (slice_eq(buffer_slice(&escaped), name))
			p->of[i] = position;
		buffer_release(&escaped);
	}
	return true;
}

/* Each line, the last one too, ends in a line feed. */
static bool
take_file(struct positions *p, struct slice text)
{
	bool is_first = true;

	while (text.len > 0) {
		const char *end = memchr(text.ptr, '\n', text.len);
		struct slice line;

		if (end == NULL)
			return false;
		line = (struct slice){text.ptr, (size_t)(end - text.ptr)};
		if (is_first ? !slice_is(line, FIRST_LINE) : !take_line(p, line))
			return false;
		is_first = false;
		text.ptr += line.len + 1;
		text.len -= line.len + 1;
	}
	return !is_first;
}

/* 0 or an errno; EFBIG for a file that cannot be one of ours. */
static int
read_file(int fd, struct buffer *text)
{
	for (;;) {
		ssize_t n = read(fd, buffer_reserve(text, 65536), 65536);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return errno;
		if (n > 0)
			text->len += (size_t)n;
		if (text->len > FILE_MAX_BYTES)
			return EFBIG;
	}
}

static bool
load(struct positions *p, struct buffer *error)
{
	struct buffer text = {0};
	int fd = open(p->path, O_RDONLY | O_CLOEXEC), failure;
	bool ok;

	if (fd < 0 && errno == ENOENT)
		return true;
	failure = fd < 0 ? errno : read_file(fd, &text);
	if (fd >= 0)
		close(fd);
	ok = failure == 0 && take_file(p, buffer_slice(&text));
	if (failure != 0)
		buffer_appendf(error, "cannot read %s: %s", p->path, strerror(failure));
	else if (!ok)
		buffer_appendf(error, "%s is not a complete file of positions", p->path);
	buffer_release(&text);
	return ok;
}

struct positions *
positions_open(const char *path, char **names, size_t count, struct buffer *error)
{
	struct positions *p = xcalloc(1, sizeof(*p));
	struct buffer new_path = {0};

	buffer_appendf(&new_path, "%s.new", path);
	buffer_append(&new_path, "", 1);
	p->path = path;
	p->new_path = new_path.ptr;
	p->names = names;
	p->count = count;
	p->of = xcalloc(count, sizeof(*p->of));
	if (load(p, error))
		return p;
	positions_free(p);
	return NULL;
}

void
positions_free(struct positions *p)
{
	if (p == NULL)
		return;
	xfree(p->new_path);
	xfree(p->of);
	xfree(p);
}

bool
positions_has(const struct positions *p, size_t index)
{
	return p->of[index].epoch != 0;
}

void
positions_put_since(const struct positions *p, size_t index, struct buffer *out)
{
	struct position position = newest(p->of[index], p->seen);

	if (position.epoch == 0)
		buffer_append_str(out, "$");
	else
		buffer_appendf(out, "%" PRIu64 "-%" PRIu64, position.epoch, position.seq);
}

void
positions_set(struct positions *p, size_t index, struct position position)
{
	p->of[index] = position;
	p->changed = true;
}

void
positions_seen(struct positions *p, struct position position)
{
	p->seen = position;
	p->changed = true;
}

static void
write_text(struct positions *p, struct buffer *text)
{
	buffer_append_str(text, FIRST_LINE "\n");
	for (size_t i = 0; i < p->count; i++) {
		if (p->of[i].epoch == 0)
			continue;
		positions_put_since(p, i, text);
		buffer_append_str(text, " ");
		buffer_append_escaped(text, slice_of(p->names[i]));
		buffer_append_str(text, "\n");
	}
}

/* 0 or an errno. */
static int
write_file(const struct positions *p, struct slice text)
{
	int fd = open(p->new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int failure = 0;

	if (fd < 0)
		return errno;
	while (text.len > 0 && failure == 0) {
		ssize_t n = write(fd, text.ptr, text.len);

		if (n > 0) {
			text.ptr += n;
			text.len -= (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			failure = n == 0 ? EIO : errno;
		}
	}
	if (close(fd) != 0 && failure == 0)
		failure = errno;
	if (failure == 0 && rename(p->new_path, p->path) != 0)
		failure = errno;
	if (failure != 0)
		unlink(p->new_path);
	return failure;
}

bool
positions_save(struct positions *p, struct buffer *error)
{
	struct buffer text = {0};
	int failure;

	if (!p->changed)
		return true;
	write_text(p, &text);
	failure = write_file(p, buffer_slice(&text));
	buffer_release(&text);
	if (failure != 0)
		buffer_appendf(error, "cannot write %s: %s", p->path, strerror(failure));
	else
		p->changed = false;
	return failure == 0;
}

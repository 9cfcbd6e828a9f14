#include "config.h"

#include "import/manifest.h"

#include <string.h>

#include "base/alloc.h"
#include "resp/inline.h"

enum { LINE_MAX_BYTES = 1024, WORDS_MAX = 16 };

struct line {
	char bytes[LINE_MAX_BYTES];
	struct slice words[WORDS_MAX];
	size_t count;
};

void
manifest_release(struct manifest *manifest)
{
	for (size_t i = 0; i < manifest->count; i++)
		xfree(manifest->files[i].name);
	xfree(manifest->files);
	*manifest = (struct manifest){0};
}

static const char *
split(struct line *line, struct slice text)
{
	size_t used = 0;

	line->count = 0;
	if (text.len > LINE_MAX_BYTES)
		return "longer than 1024 bytes";
	for (;;) {
		size_t len;
		enum resp_inline found = resp_inline_next(&text, line->bytes + used, &len);

		if (found == RESP_INLINE_END)
			return NULL;
		if (found == RESP_INLINE_UNBALANCED)
			return "unbalanced quotes";
		if (line->count == WORDS_MAX)
			return "too many words";
		line->words[line->count++] = (struct slice){line->bytes + used, len};
		used += len;
	}
}

/* The value behind a word. Words come in pairs. */
static struct slice
value_of(const struct line *line, const char *name)
{
	for (size_t i = 0; i + 1 < line->count; i += 2)
		if (slice_is(line->words[i], name))
			return line->words[i + 1];
	return (struct slice){"", 0};
}

static bool
is_plain_name(struct slice name)
{
	return name.len > 0 && name.len < 256 && memchr(name.ptr, '/', name.len) == NULL &&
	       memchr(name.ptr, '\0', name.len) == NULL && !slice_is(name, ".") &&
	       !slice_is(name, "..");
}

static void
add(struct manifest *manifest, struct slice name, uint64_t number, bool is_base)
{
	struct manifest_file *file;

	manifest->files =
	    xrealloc(manifest->files, (manifest->count + 1) * sizeof(*manifest->files));
	file = &manifest->files[manifest->count++];
	*file = (struct manifest_file){
	    .name = xmalloc(name.len + 1), .number = number, .is_base = is_base};
	memcpy(file->name, name.ptr, name.len);
	file->name[name.len] = '\0';
}

/* NULL, or what is wrong with the line. */
static const char *
take_line(struct manifest *manifest, const struct line *line)
{
	struct slice name = value_of(line, "file"), type = value_of(line, "type");
	const struct manifest_file *last =
	    manifest->count > 0 ? &manifest->files[manifest->count - 1] : NULL;
	uint64_t number;

	if (!is_plain_name(name))
		return "no plain file name";
	if (!slice_to_u64(value_of(line, "seq"), &number) || number == 0)
		return "no number (seq)";
	if (slice_is(type, "h"))
		return NULL;
	if (!slice_is(type, "b") && !slice_is(type, "i"))
		return "unknown type: b, h and i are known";
	if (slice_is(type, "b") && last != NULL)
		return "a base file must be the first file";
	if (last != NULL && !last->is_base && last->number >= number)
		return "the numbers of the files do not increase";
	add(manifest, name, number, slice_is(type, "b"));
	return NULL;
}

bool
manifest_parse(struct manifest *manifest, struct slice text, struct buffer *error)
{
	struct line line;

	*manifest = (struct manifest){0};
	for (unsigned int number = 1; text.len > 0; number++) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
		struct slice rest = {text.ptr, len};
		const char *fault = NULL;

		if (len > 0 && text.ptr[0] != '#') {
			fault = split(&line, rest);
			if (fault == NULL && line.count > 0)
				fault = take_line(manifest, &line);
		}
		if (fault != NULL) {
			buffer_appendf(error, "line %u: %s", number, fault);
			return false;
		}
		len += end != NULL ? 1 : 0;
		text = (struct slice){text.ptr + len, text.len - len};
	}
	if (manifest->count == 0)
		buffer_append_str(error, "names no files");
	return manifest->count > 0;
}

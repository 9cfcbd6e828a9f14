#include "config.h"

#include "app/foreign_notes.h"

#include <stdio.h>

#include "app/settings.h"
#include "base/log.h"

static size_t
count_named(const struct settings *s)
{
	size_t count = 0;

	for (size_t i = 0; i < SETTINGS_FOREIGN; i++)
		count += s->names_foreign[i];
	return count;
}

bool
foreign_notes_ignored(const struct settings *s, struct buffer *out)
{
	const size_t first = settings_count() - SETTINGS_FOREIGN;
	const size_t count = count_named(s);
	const char *before = "";

	if (count == 0)
		return false;
	buffer_appendf(out,
	    "%zu directive%s of redis.conf that mean%s nothing here %s ignored: ", count,
	    count > 1 ? "s" : "", count > 1 ? "" : "s", count > 1 ? "were" : "was");
	for (size_t i = 0; i < SETTINGS_FOREIGN; i++) {
		if (!s->names_foreign[i])
			continue;
		buffer_appendf(out, "%s%s", before, settings_row(first + i)->name);
		before = ", ";
	}
	return true;
}

/* A configuration of Redis is recognised by its directives. */
bool
foreign_notes_loss(const struct settings *s, struct buffer *out)
{
	if (count_named(s) == 0 || s->names_save || s->disk.appendonly)
		return false;
	buffer_append_str(out,
	    "keys are not kept on disk: there is no line of save, and unlike Redis, fanfared then "
	    "makes no snapshots; add save 3600 1 300 100 60 10000, which is the default of Redis, "
	    "or appendonly yes, or save \"\" if nothing is to be kept");
	return true;
}

void
foreign_notes_defaults(const struct settings *s, struct buffer *out)
{
	if (count_named(s) == 0 && !s->names_save && !s->disk.appendonly)
		buffer_append_str(out,
		    "keys are not kept on disk: there is neither a line of save nor appendonly "
		    "yes; Redis would then make snapshots\n");
	if (!s->names_bind && (s->server.port > 0 || s->tls_port > 0))
		buffer_append_str(out,
		    "only clients of this machine can connect: there is no line of bind; Redis "
		    "would then listen on all addresses\n");
}

void
foreign_notes_log(const struct settings *s)
{
	struct buffer text = {0};

	if (foreign_notes_ignored(s, &text))
		log_notice("%.*s", (int)text.len, text.ptr);
	buffer_clear(&text);
	if (foreign_notes_loss(s, &text))
		log_warn("%.*s", (int)text.len, text.ptr);
	buffer_release(&text);
}

void
foreign_notes_print(const struct settings *s, bool has_file)
{
	struct buffer text = {0};

	if (foreign_notes_ignored(s, &text))
		printf("%.*s\n", (int)text.len, text.ptr);
	buffer_clear(&text);
	if (foreign_notes_loss(s, &text))
		printf("%.*s\n", (int)text.len, text.ptr);
	buffer_clear(&text);
	if (has_file)
		foreign_notes_defaults(s, &text);
	if (text.len > 0)
		printf("%.*s", (int)text.len, text.ptr);
	buffer_release(&text);
}

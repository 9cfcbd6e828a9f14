#include "config.h"

#include "import/summary.h"

#include <string.h>

#include "base/alloc.h"

#define REASON_SHOWN_MAX 160

void
import_summary_release(struct import_summary *summary)
{
	for (size_t i = 0; i < summary->name_count; i++) {
		xfree(summary->names[i].name);
		xfree(summary->names[i].reason);
	}
	buffer_release(&summary->reason);
	*summary = (struct import_summary){0};
}

/* XCLAIM key group consumer min-idle-time id ... [option ...]. An append-only file has such
 * commands for entries that Redis has dropped, too: they are not to become pending. */
static size_t
count_claims(const struct import_command *command)
{
	size_t count = 0;

	if (command->part == IMPORT_COMMAND || !slice_is_nocase(command->argv[0], "xclaim"))
		return 0;
	for (size_t i = 5; i < command->argc && command->argv[i].len > 0; i++) {
		if (command->argv[i].ptr[0] < '0' || command->argv[i].ptr[0] > '9')
			break;
		count++;
	}
	return count;
}

struct import_note
import_note(const struct import_command *command)
{
	struct import_note note = {.part = command->part,
	    .type = command->type,
	    .begins_key = command->begins_key,
	    .claims = count_claims(command)};
	struct slice name = command->argv[0];

	if (command->part != IMPORT_COMMAND)
		return note;
	for (size_t i = 0; i < name.len && i + 1 < sizeof(note.name); i++) {
		char byte = name.ptr[i];

		if (byte >= 'a' && byte <= 'z')
			byte = (char)(byte - 'a' + 'A');
		note.name[i] = byte >= ' ' && byte <= '~' ? byte : '?';
	}
	return note;
}

/* Printable, and not too long. Returns owned. */
static char *
shown(struct slice text)
{
	struct buffer out = {0};
	char *copy;

	if (text.len > REASON_SHOWN_MAX)
		text.len = REASON_SHOWN_MAX;
	buffer_append_escaped(&out, text);
	copy = xasprintf("%.*s", (int)out.len, out.len > 0 ? out.ptr : "");
	buffer_release(&out);
	return copy;
}

static void
count_name(struct import_summary *summary, enum import_outcome outcome, const char *name,
    struct slice reason)
{
	static const char rest[] = "further things";
	struct import_name *entry;

	for (size_t i = 0; i < summary->name_count; i++) {
		entry = &summary->names[i];
		if ((entry->outcome == outcome && strcmp(entry->name, name) == 0) ||
		    i + 1 == IMPORT_NAMES_MAX) {
			entry->count++;
			return;
		}
	}
	entry = &summary->names[summary->name_count++];
	if (summary->name_count == IMPORT_NAMES_MAX)
		name = rest;
	*entry = (struct import_name){
	    .outcome = outcome, .name = xstrdup(name), .reason = shown(reason), .count = 1};
}

static void
end_key(struct import_summary *summary)
{
	char name[32] = "keys of type ";

	if (!summary->in_key)
		return;
	summary->in_key = false;
	if (summary->outcome == IMPORT_DONE) {
		summary->keys[summary->type]++;
		return;
	}
	strcat(name, rdb_type_name(summary->type));
	count_name(summary, summary->outcome, name, buffer_slice(&summary->reason));
}

static void
add_to_key(struct import_summary *summary, const struct import_note *note,
    enum import_outcome outcome, struct slice reason)
{
	if (note->begins_key) {
		end_key(summary);
		summary->in_key = true;
		summary->type = note->type;
		summary->outcome = IMPORT_DONE;
	}
	if (outcome == IMPORT_DONE || summary->outcome != IMPORT_DONE)
		return;
	summary->outcome = outcome;
	buffer_clear(&summary->reason);
	buffer_append_slice(&summary->reason, reason);
}

void
import_summary_add(struct import_summary *summary, const struct import_note *note,
    enum import_outcome outcome, struct slice reason)
{
	const char *name = "";

	switch (note->part) {
	case IMPORT_KEY:
		add_to_key(summary, note, outcome, reason);
		return;
	case IMPORT_FIELD_TIME:
		name = "expiry times of fields";
		break;
	case IMPORT_FUNCTIONS:
		name = "libraries of functions";
		summary->functions += outcome == IMPORT_DONE;
		break;
	case IMPORT_DATABASE:
		name = "SELECT";
		break;
	case IMPORT_COMMAND:
		name = note->name;
		summary->commands += outcome == IMPORT_DONE;
		break;
	}
	if (note->part != IMPORT_FIELD_TIME)
		end_key(summary);
	if (outcome != IMPORT_DONE)
		count_name(summary, outcome, name, reason);
}

void
import_summary_module(void *arg, struct slice name, bool is_key)
{
	struct buffer text = {0};

	buffer_append_str(&text, is_key ? "keys of module type " : "data of module type ");
	buffer_append_escaped(&text, name);
	buffer_append(&text, "", 1);
	count_name(arg, IMPORT_NOT_HERE, text.ptr, SLICE(""));
	buffer_release(&text);
}

void
import_summary_end(struct import_summary *summary)
{
	end_key(summary);
}

bool
import_summary_has_gaps(const struct import_summary *summary)
{
	return summary->name_count > 0;
}

static void
write_done(const struct import_summary *summary, struct buffer *text)
{
	uint64_t all = 0;

	for (size_t i = 0; i < RDB_TYPES; i++)
		all += summary->keys[i];
	buffer_appendf(text, "imported: keys: %llu", (unsigned long long)all);
	for (size_t i = 0; i < RDB_TYPES; i++)
		if (summary->keys[i] > 0)
			buffer_appendf(text, ", %s: %llu", rdb_type_name((enum rdb_type)i),
			    (unsigned long long)summary->keys[i]);
	if (summary->functions > 0)
		buffer_appendf(
		    text, "; libraries of functions: %llu", (unsigned long long)summary->functions);
	if (summary->commands > 0)
		buffer_appendf(text, "; commands of append-only files: %llu",
		    (unsigned long long)summary->commands);
}

static void
write_line(struct buffer *text, bool is_gap, void (*line)(void *arg, const char *text, bool is_gap),
    void *arg)
{
	buffer_append(text, "", 1);
	line(arg, text->ptr, is_gap);
	buffer_clear(text);
}

void
import_summary_write(const struct import_summary *summary, const struct rdb_left_out *left_out,
    void (*line)(void *arg, const char *text, bool is_gap), void *arg)
{
	static const char *const words[IMPORT_OUTCOMES] = {
	    [IMPORT_DONE] = "", [IMPORT_NOT_HERE] = "not here", [IMPORT_REFUSED] = "refused"};
	struct buffer text = {0};

	write_done(summary, &text);
	write_line(&text, false, line, arg);
	if (left_out->pending_entries > 0) {
		buffer_appendf(&text,
		    "left out: pending entries of streams whose entries were deleted: %llu",
		    (unsigned long long)left_out->pending_entries);
		write_line(&text, false, line, arg);
	}
	if (left_out->expired_keys + left_out->expired_fields + left_out->empty_keys > 0) {
		buffer_appendf(&text,
		    "left out: expired keys: %llu, expired fields: %llu, empty keys: %llu",
		    (unsigned long long)left_out->expired_keys,
		    (unsigned long long)left_out->expired_fields,
		    (unsigned long long)left_out->empty_keys);
		write_line(&text, false, line, arg);
	}
	for (size_t i = 0; i < summary->name_count; i++) {
		const struct import_name *name = &summary->names[i];

		buffer_appendf(&text, "%s: %s: %llu", words[name->outcome], name->name,
		    (unsigned long long)name->count);
		if (name->reason[0] != '\0')
			buffer_appendf(&text, " (%s)", name->reason);
		write_line(&text, true, line, arg);
	}
	buffer_release(&text);
}

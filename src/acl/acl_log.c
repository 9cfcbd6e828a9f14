#include "config.h"

#include "acl/acl_log.h"

#include <string.h>

#include "base/alloc.h"

#define SAME_WITHIN_MS 60000
#define LOOK_BACK 10

void
acl_log_init(struct acl_log *log)
{
	TAILQ_INIT(&log->entries);
	log->len = 0;
	log->next_id = 0;
}

static void
drop(struct acl_log *log, struct acl_log_entry *entry)
{
	TAILQ_REMOVE(&log->entries, entry, all);
	log->len--;
	xfree(entry->client);
	xfree(entry);
}

void
acl_log_reset(struct acl_log *log)
{
	while (log->len > 0)
		drop(log, TAILQ_FIRST(&log->entries));
}

static size_t
keep(char out[ACL_LOG_BYTES_MAX], struct slice s)
{
	size_t len = s.len < ACL_LOG_BYTES_MAX ? s.len : ACL_LOG_BYTES_MAX;

	if (len > 0)
		memcpy(out, s.ptr, len);
	return len;
}

static bool
is_same(const struct acl_log_entry *a, const struct acl_log_entry *b)
{
	return a->reason == b->reason && a->context == b->context &&
	       b->updated_ms - a->updated_ms <= SAME_WITHIN_MS &&
	       slice_eq((struct slice){a->object, a->object_len},
		   (struct slice){b->object, b->object_len}) &&
	       slice_eq((struct slice){a->user, a->user_len}, (struct slice){b->user, b->user_len});
}

static struct acl_log_entry *
find_same(const struct acl_log *log, const struct acl_log_entry *entry)
{
	struct acl_log_entry *known;
	int looked = 0;

	TAILQ_FOREACH (known, &log->entries, all) {
		if (looked++ == LOOK_BACK)
			break;
		if (is_same(known, entry))
			return known;
	}
	return NULL;
}

static char *
copy(struct slice s)
{
	char *str = xmalloc(s.len + 1);

	if (s.len > 0)
		memcpy(str, s.ptr, s.len);
	str[s.len] = '\0';
	return str;
}

void
acl_log_add(struct acl_log *log, size_t max_len, uint64_t now_ms, enum acl_log_reason reason,
    enum acl_log_context context, struct slice object, struct slice user, struct slice client)
{
	struct acl_log_entry entry = {.count = 1,
	    .created_ms = now_ms,
	    .updated_ms = now_ms,
	    .reason = reason,
	    .context = context};
	struct acl_log_entry *known;

	entry.object_len = keep(entry.object, object);
	entry.user_len = keep(entry.user, user);
	known = find_same(log, &entry);
	if (known != NULL) {
		TAILQ_REMOVE(&log->entries, known, all);
		xfree(known->client);
		known->count++;
		known->updated_ms = now_ms;
	} else {
		known = xmemdup(&entry, sizeof(entry));
		known->id = log->next_id++;
		log->len++;
	}
	known->client = copy(client);
	TAILQ_INSERT_HEAD(&log->entries, known, all);
	while (log->len > max_len)
		drop(log, TAILQ_LAST(&log->entries, acl_log_entries));
}

const char *
acl_log_reason_name(enum acl_log_reason reason)
{
	static const char *const names[] = {"command", "key", "channel", "auth"};

	return names[reason];
}

const char *
acl_log_context_name(enum acl_log_context context)
{
	static const char *const names[] = {"toplevel", "multi", "lua"};

	return names[context];
}

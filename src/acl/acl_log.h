#ifndef ACL_ACL_LOG_H
#define ACL_ACL_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"

/*
 * ACL LOG: recent denials, the latest first. If the same denial of the same user is repeated within
 * a minute and is among the latest ten, its count grows and no entry is added. The number of
 * entries and the size of each are bounded. It reads no clock.
 */
enum acl_log_reason { ACL_LOG_COMMAND, ACL_LOG_KEY, ACL_LOG_CHANNEL, ACL_LOG_AUTH };
enum acl_log_context { ACL_LOG_TOPLEVEL, ACL_LOG_MULTI, ACL_LOG_SCRIPT };

#define ACL_LOG_BYTES_MAX 256 /* kept of an object and of a user's name */

struct acl_log_entry {
	TAILQ_ENTRY(acl_log_entry) all;
	uint64_t id;
	uint64_t count;
	uint64_t created_ms, updated_ms; /* wall clock */
	enum acl_log_reason reason;
	enum acl_log_context context;
	char object[ACL_LOG_BYTES_MAX];
	char user[ACL_LOG_BYTES_MAX];
	size_t object_len, user_len;
	char *client; /* owned; the line of CLIENT LIST */
};

TAILQ_HEAD(acl_log_entries, acl_log_entry);

struct acl_log {
	struct acl_log_entries entries;
	size_t len;
	uint64_t next_id;
};

void acl_log_init(struct acl_log *log);
void acl_log_reset(struct acl_log *log); /* removes all entries */

/* Copies its arguments. Keeps at most max_len entries; 0: none. */
void acl_log_add(struct acl_log *log, size_t max_len, uint64_t now_ms, enum acl_log_reason reason,
    enum acl_log_context context, struct slice object, struct slice user, struct slice client);

/* "command", "auth" and so on. */
const char *acl_log_reason_name(enum acl_log_reason reason);
const char *acl_log_context_name(enum acl_log_context context);

#endif

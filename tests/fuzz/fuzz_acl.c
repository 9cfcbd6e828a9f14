#include "config.h"

#include <assert.h>
#include <string.h>

#include "acl/acl.h"
#include "acl/check.h"
#include "cmd/table.h"

/*
 * The ACL language: the input is a file of users. What is taken is shown, and what is shown is
 * taken again and shown the same; and no check of a request goes wrong.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
try_requests(const struct acl_user *user)
{
	static const struct slice argv[] = {{"subscribe", 9}, {"news.1", 6}, {"*", 1}};
	enum acl_verdict verdict;
	size_t at;

	for (size_t i = 0; i < cmd_table()->count; i++) {
		verdict = acl_check(user, acl_commands_at(cmd_table()->acl, i), argv, 3, true, &at);
		assert(at < 3);
		assert(!user->unrestricted || verdict == ACL_ALLOWED);
	}
	/* Who hears a pattern that names one channel alone hears that channel. */
	assert(!acl_may_receive(user, argv[1], true) || acl_may_receive(user, argv[1], false));
	assert(acl_receives_as_much(user, user));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice text = {(const char *)data, len};
	struct buffer error = {0}, shown = {0}, again = {0};
	struct acl *acl;

	if (len > 8192)
		return 0;
	acl = acl_new(cmd_table()->acl);
	if (acl_load(acl, text, "fuzz.acl", SLICE("password"), &error)) {
		for (size_t i = 0; i < acl_count(acl); i++)
			try_requests(acl_at(acl, i));
		acl_describe(acl, false, SLICE(""), &shown);
		assert(acl_load(acl, buffer_slice(&shown), "shown.acl", SLICE(""), &error));
		acl_describe(acl, false, SLICE(""), &again);
		assert(slice_eq(buffer_slice(&shown), buffer_slice(&again)));
	} else {
		assert(error.len > 0);
		assert(acl_count(acl) == 1);
	}
	acl_free(acl);
	buffer_release(&error);
	buffer_release(&shown);
	buffer_release(&again);
	return 0;
}

#include "config.h"

#include "pubsub/outbox.h"

static const char *const policy_names[] = {
    [OUTBOX_DISCONNECT] = "disconnect",
    [OUTBOX_DROP_OLDEST] = "drop-oldest",
    [OUTBOX_DROP_NEWEST] = "drop-newest",
    [OUTBOX_BLOCK] = "block",
    [OUTBOX_CATCH_UP] = "catch-up",
};

const char *
outbox_policy_name(enum outbox_policy policy)
{
	return policy_names[policy];
}

bool
outbox_policy_parse(struct slice name, enum outbox_policy *policy)
{
	for (size_t i = 0; i < sizeof(policy_names) / sizeof(*policy_names); i++)
		if (slice_is_nocase(name, policy_names[i])) {
			*policy = (enum outbox_policy)i;
			return true;
		}
	return false;
}

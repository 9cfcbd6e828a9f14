#include "config.h"

#include "link/refusal.h"

#include "base/buffer.h"
#include "base/log.h"
#include "base/rate_limit.h"

struct slice
refusal_cut(struct slice error)
{
	if (error.len > LINK_ERROR_MAX)
		error.len = LINK_ERROR_MAX;
	return error;
}

bool
refusal_is_redirection(struct slice error)
{
	return slice_begins_with(error, "MOVED ") || slice_begins_with(error, "ASK ");
}

void
refusal_log(struct rate_limit *limit, const char *kind, const char *address, struct slice error,
    uint64_t now_us)
{
	struct buffer text = {0};

	if (!rate_limit_take(limit, now_us))
		return;
	buffer_append_escaped(&text, refusal_cut(error));
	log_warn("the %s %s refuses a message or a subscription: %.*s", kind, address,
	    (int)text.len, text.ptr);
	buffer_release(&text);
}

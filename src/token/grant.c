#include "config.h"

#include "token/grant.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/glob.h"

struct token_grant *
token_grant_ref(struct token_grant *grant)
{
	grant->refs++;
	return grant;
}

void
token_grant_unref(struct token_grant *grant)
{
	if (grant == NULL)
		return;
	assert(grant->refs > 0);
	if (--grant->refs == 0)
		xfree(grant);
}

enum token_fault
token_grant_at(const struct token_grant *grant, uint64_t wall_s)
{
	if (grant->has_expiry && wall_s >= grant->expires_s + grant->leeway_s)
		return TOKEN_EXPIRED;
	if (grant->has_end && wall_s >= grant->ends_s)
		return TOKEN_EXPIRED;
	if (grant->not_before_s > 0 && wall_s + grant->leeway_s < grant->not_before_s)
		return TOKEN_NOT_YET;
	return TOKEN_OK;
}

static bool
cap_matches(const struct token_cap *cap, struct slice name, bool is_pattern)
{
	switch ((enum token_match)cap->match) {
	case TOKEN_MATCH_ALL:
		return true;
	case TOKEN_MATCH_GLOB:
		return is_pattern ? slice_eq(cap->channel, name)
				  : glob_match(cap->channel, name, false);
	case TOKEN_MATCH_EXACT:
		return !is_pattern && slice_eq(cap->channel, name);
	}
	return false;
}

bool
token_grant_allows(
    const struct token_grant *grant, enum token_right right, struct slice name, bool is_pattern)
{
	if (name.len > TOKEN_NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < grant->cap_count; i++)
		if ((grant->caps[i].rights & right) != 0 &&
		    cap_matches(&grant->caps[i], name, is_pattern))
			return true;
	return false;
}

#include "config.h"

#include "token/claims.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/float_text.h"
#include "token/draft.h"
#include "token/grant.h"
#include "json/reader.h"

/* The claims of one token while they are read. */
struct reading {
	struct json_value claims;
	const struct token_rules *rules;
	struct token_draft *draft;
};

/* Reads the member of object: JSON_ABSENT, or JSON_FOUND with *value; false if it is there twice.
 */
static bool
find(struct json_value object, const char *name, bool *found, struct json_value *value)
{
	enum json_found outcome = json_find(object, name, value);

	*found = outcome == JSON_FOUND;
	return outcome != JSON_DUPLICATE;
}

/* A string, or {NULL, 0} if it is absent. */
static bool
read_string(const struct reading *r, struct json_value object, const char *name, struct slice *out)
{
	struct json_value value;
	bool found;

	if (!find(object, name, &found, &value))
		return false;
	return !found || token_draft_string(r->draft, value, out);
}

/*
 * Seconds since 1970. RFC 7519 allows fractions, which some issuers write and nobody needs: they
 * are cut off. Negative, huge and other values are refused.
 */
static bool
read_time(const struct reading *r, const char *name, bool *found, uint64_t *out)
{
	struct json_value value;
	long double seconds;

	if (!find(r->claims, name, found, &value))
		return false;
	if (!*found)
		return true;
	if (json_get_u64(value, out))
		return *out <= TOKEN_TIME_MAX;
	if (value.type != JSON_NUMBER || value.text.ptr[0] == '-' ||
	    !float_text_parse(value.text, &seconds) || !(seconds <= (long double)TOKEN_TIME_MAX))
		return false;
	*out = (uint64_t)seconds;
	return true;
}

static bool
read_times(const struct reading *r, struct token_grant *grant)
{
	bool has_begin, has_issue, has_own_end;
	uint64_t issued_s;

	if (!read_time(r, "exp", &grant->has_expiry, &grant->expires_s) ||
	    !read_time(r, "nbf", &has_begin, &grant->not_before_s) ||
	    !read_time(r, "iat", &has_issue, &issued_s) ||
	    !read_time(r, "expire_at", &has_own_end, &grant->refresh_s))
		return false;
	grant->has_end = has_own_end ? grant->refresh_s > 0 : grant->has_expiry;
	if (!has_own_end)
		grant->refresh_s = grant->expires_s;
	grant->leeway_s = r->rules->leeway_s;
	grant->ends_s = grant->refresh_s + grant->leeway_s;
	return true;
}

/* "aud" is a string or an array of strings. */
static enum token_fault
check_audience(const struct reading *r)
{
	struct json_value claim, value;
	struct json_iterator it;
	struct slice name;
	bool found, is_ours;

	if (!find(r->claims, "aud", &found, &claim))
		return TOKEN_BAD_CLAIM;
	is_ours = r->rules->audience.len == 0;
	if (found && claim.type == JSON_ARRAY) {
		it = json_elements(claim);
		while (json_next_element(&it, &value)) {
			if (!token_draft_string(r->draft, value, &name))
				return TOKEN_BAD_CLAIM;
			is_ours |= slice_eq(name, r->rules->audience);
		}
	} else if (found) {
		if (!token_draft_string(r->draft, claim, &name))
			return TOKEN_BAD_CLAIM;
		is_ours |= slice_eq(name, r->rules->audience);
	}
	return is_ours ? TOKEN_OK : TOKEN_AUDIENCE;
}

static enum token_fault
check_issuer(const struct reading *r)
{
	struct slice name = {NULL, 0};

	if (!read_string(r, r->claims, "iss", &name))
		return TOKEN_BAD_CLAIM;
	if (r->rules->issuer.len > 0 && !slice_eq(name, r->rules->issuer))
		return TOKEN_ISSUER;
	return TOKEN_OK;
}

/* sub, info, channel, jti and fanfare.user. */
static bool
read_names(const struct reading *r, struct token_grant *grant)
{
	struct json_value own, info;
	struct slice token_id;
	bool has_own, has_info;

	if (!read_string(r, r->claims, "sub", &grant->subject) ||
	    !read_string(r, r->claims, "channel", &grant->channel) ||
	    !read_string(r, r->claims, "jti", &token_id) ||
	    !find(r->claims, "info", &has_info, &info) ||
	    !find(r->claims, "fanfare", &has_own, &own))
		return false;
	if (has_info && info.type != JSON_NULL)
		grant->info = token_draft_copy(r->draft, info.text);
	if (!has_own)
		return true;
	return own.type == JSON_OBJECT && read_string(r, own, "user", &grant->user) &&
	       (grant->user.ptr == NULL || grant->user.len > 0);
}

/* An array of strings, each of which becomes a cap. */
static bool
read_list(const struct reading *r, struct json_value array, uint32_t rights, enum token_match match)
{
	struct json_iterator it;
	struct json_value value;
	struct slice name;

	if (array.type != JSON_ARRAY)
		return false;
	it = json_elements(array);
	while (json_next_element(&it, &value))
		if (!token_draft_string(r->draft, value, &name) ||
		    !token_draft_cap(r->draft, name, rights, match))
			return false;
	return true;
}

/* The claims channels and channel: subscriptions to exactly these. */
static bool
read_channels(const struct reading *r, struct token_grant *grant)
{
	struct json_value value;
	bool found;

	if (!find(r->claims, "channels", &found, &value))
		return false;
	if (found) {
		grant->has_caps = true;
		if (!read_list(r, value, TOKEN_SUBSCRIBE, TOKEN_MATCH_EXACT))
			return false;
		token_draft_channels(r->draft);
	}
	if (grant->channel.ptr == NULL)
		return true;
	grant->has_caps = true;
	return token_draft_cap(r->draft, grant->channel, TOKEN_SUBSCRIBE, TOKEN_MATCH_EXACT);
}

static bool
read_allow(struct json_value cap, uint32_t *rights)
{
	static const struct {
		const char *name;
		enum token_right right;
	} names[] = {
	    {"sub", TOKEN_SUBSCRIBE},
	    {"pub", TOKEN_PUBLISH},
	    {"hst", TOKEN_HISTORY},
	    {"prs", TOKEN_PRESENCE},
	};
	struct json_value allow, value;
	struct json_iterator it;

	if (json_find(cap, "allow", &allow) != JSON_FOUND || allow.type != JSON_ARRAY)
		return false;
	*rights = 0;
	it = json_elements(allow);
	while (json_next_element(&it, &value)) {
		size_t i = 0;

		while (
		    i < sizeof(names) / sizeof(names[0]) && !json_string_is(value, names[i].name))
			i++;
		if (i == sizeof(names) / sizeof(names[0]))
			return false;
		*rights |= names[i].right;
	}
	return true;
}

static enum token_fault
read_cap(const struct reading *r, struct json_value cap)
{
	struct json_value channels, match;
	enum token_match how = TOKEN_MATCH_EXACT;
	uint32_t rights;
	bool has_match;

	if (cap.type != JSON_OBJECT || !find(cap, "match", &has_match, &match))
		return TOKEN_BAD_CLAIM;
	if (has_match && json_string_is(match, "regex"))
		return TOKEN_REGEX;
	if (has_match && json_string_is(match, "wildcard"))
		how = TOKEN_MATCH_GLOB;
	else if (has_match && !json_string_is(match, ""))
		return TOKEN_BAD_CLAIM;
	if (!read_allow(cap, &rights) || json_find(cap, "channels", &channels) != JSON_FOUND ||
	    !read_list(r, channels, rights, how))
		return TOKEN_BAD_CLAIM;
	return TOKEN_OK;
}

static enum token_fault
read_caps(const struct reading *r, struct token_grant *grant)
{
	struct json_value caps, cap;
	struct json_iterator it;
	enum token_fault fault = TOKEN_OK;
	bool found;

	if (!find(r->claims, "caps", &found, &caps) || (found && caps.type != JSON_ARRAY))
		return TOKEN_BAD_CLAIM;
	if (!found)
		return TOKEN_OK;
	grant->has_caps = true;
	it = json_elements(caps);
	while (fault == TOKEN_OK && json_next_element(&it, &cap))
		fault = read_cap(r, cap);
	return fault;
}

/*
 * Topic selectors of Mercure: a topic, "*", or a URI template, which is not supported and allows
 * nothing.
 */
static bool
read_selectors(const struct reading *r, struct json_value claim, const char *name, uint32_t right)
{
	struct json_value selectors, value;
	struct json_iterator it;
	struct slice topic;
	bool found;

	if (!find(claim, name, &found, &selectors) || (found && selectors.type != JSON_ARRAY))
		return false;
	if (!found)
		return true;
	it = json_elements(selectors);
	while (json_next_element(&it, &value)) {
		if (!token_draft_string(r->draft, value, &topic) ||
		    !token_draft_cap(r->draft, topic, right,
			slice_is(topic, "*") ? TOKEN_MATCH_ALL : TOKEN_MATCH_EXACT))
			return false;
	}
	return true;
}

static bool
read_mercure(const struct reading *r, struct token_grant *grant)
{
	struct json_value claim;
	bool found;

	if (!find(r->claims, "mercure", &found, &claim))
		return false;
	if (!found)
		return true;
	grant->has_caps = true;
	return claim.type == JSON_OBJECT &&
	       read_selectors(r, claim, "subscribe", TOKEN_SUBSCRIBE) &&
	       read_selectors(r, claim, "publish", TOKEN_PUBLISH);
}

static enum token_fault
read_all(const struct reading *r, struct token_grant *grant)
{
	enum token_fault fault = TOKEN_BAD_CLAIM;

	if (read_times(r, grant) && read_names(r, grant) && read_channels(r, grant) &&
	    read_mercure(r, grant))
		fault = read_caps(r, grant);
	if (fault == TOKEN_OK)
		fault = check_audience(r);
	if (fault == TOKEN_OK)
		fault = check_issuer(r);
	return fault;
}

enum token_fault
token_claims_read(struct slice json, const struct token_rules *rules, struct token_grant **out)
{
	struct json_value claims;
	struct token_grant grant = {0};
	struct token_draft draft;
	struct reading r = {.rules = rules, .draft = &draft};
	enum token_fault fault;

	if (!json_parse(json, &claims) || claims.type != JSON_OBJECT)
		return TOKEN_MALFORMED;
	r.claims = claims;
	token_draft_init(&draft, json.len);
	fault = read_all(&r, &grant);
	if (fault == TOKEN_OK)
		*out = token_draft_finish(&draft, &grant);
	token_draft_release(&draft);
	return fault;
}

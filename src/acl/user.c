#include "config.h"

#include "acl/user.h"

#include <assert.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"

/* The most bytes of a rule that an error text repeats. */
#define SHOWN_MAX 256

struct acl_user *
acl_user_new(struct slice name, bool all_channels)
{
	struct acl_user *user = xcalloc(1, sizeof(*user));

	user->name = xmalloc(name.len + 1);
	if (name.len > 0)
		memcpy(user->name, name.ptr, name.len);
	user->name[name.len] = '\0';
	user->name_len = name.len;
	user->refs = 1;
	user->sanitizes = true;
	user->selectors = xcalloc(1, sizeof(*user->selectors));
	user->selector_count = 1;
	acl_selector_init(&user->selectors[0], all_channels);
	return user;
}

static void
release_rules(struct acl_user *user)
{
	for (size_t i = 0; i < user->selector_count; i++)
		acl_selector_release(&user->selectors[i]);
	xfree(user->selectors);
	xfree(user->hashes);
}

struct acl_user *
acl_user_ref(struct acl_user *user)
{
	user->refs++;
	return user;
}

void
acl_user_unref(struct acl_user *user)
{
	assert(user->refs > 0);
	if (--user->refs > 0)
		return;
	release_rules(user);
	xfree(user->name);
	xfree(user);
}

void
acl_user_copy_rules(struct acl_user *to, const struct acl_user *from)
{
	release_rules(to);
	to->enabled = from->enabled;
	to->nopass = from->nopass;
	to->jwt = from->jwt;
	to->sanitizes = from->sanitizes;
	to->unrestricted = from->unrestricted;
	to->limits = from->limits;
	to->hash_count = from->hash_count;
	to->hashes = xcalloc(from->hash_count + 1, sizeof(*to->hashes));
	if (from->hash_count > 0)
		memcpy(to->hashes, from->hashes, from->hash_count * sizeof(*to->hashes));
	to->selector_count = from->selector_count;
	to->selectors = xcalloc(from->selector_count, sizeof(*to->selectors));
	for (size_t i = 0; i < from->selector_count; i++)
		acl_selector_copy(&to->selectors[i], &from->selectors[i]);
}

void
acl_user_take_rules(struct acl_user *to, struct acl_user *from)
{
	struct acl_user was = *to;

	*to = *from;
	to->name = was.name;
	to->name_len = was.name_len;
	to->deleted = was.deleted;
	to->clients = was.clients;
	to->refs = was.refs;
	to->rate =
	    acl_limits_same_rate(&was.limits, &from->limits) ? was.rate : (struct acl_rate){0};
	from->selectors = was.selectors;
	from->selector_count = was.selector_count;
	from->hashes = was.hashes;
	from->hash_count = was.hash_count;
	acl_user_unref(from);
}

void
acl_hash(struct slice password, char out[ACL_HASH_LEN])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)password.ptr, password.len, digest);
	hex_write(out, digest, sizeof(digest));
}

bool
acl_user_accepts(const struct acl_user *user, struct slice password)
{
	static const char none[ACL_HASH_LEN] = "-";
	char given[ACL_HASH_LEN];
	bool found = false;
	size_t count = user != NULL ? user->hash_count : 0;

	acl_hash(password, given);
	/* Compares with all hashes. For a user that does not exist or has no hash, compares with a
	 * string that is not a hash, so that the time does not tell whether a user exists. */
	for (size_t i = 0; i < count || i == 0; i++) {
		const char *hash = i < count ? user->hashes[i] : none;

		found |= slice_eq_secret(
		    (struct slice){hash, ACL_HASH_LEN}, (struct slice){given, ACL_HASH_LEN});
	}
	return user != NULL && user->enabled && (found || user->nopass);
}

static bool
is_hash(struct slice s)
{
	if (s.len != ACL_HASH_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!hex_is_lower_digit(s.ptr[i]))
			return false;
	return true;
}

/* >password #hash <password !hash */
static enum acl_fault
apply_password(struct acl_user *user, struct slice rule)
{
	bool adds = rule.ptr[0] == '>' || rule.ptr[0] == '#';
	struct slice given = {rule.ptr + 1, rule.len - 1};
	char hash[ACL_HASH_LEN];
	size_t at;

	if (rule.ptr[0] == '>' || rule.ptr[0] == '<')
		acl_hash(given, hash);
	else if (is_hash(given))
		memcpy(hash, given.ptr, sizeof(hash));
	else
		return ACL_BAD_HASH;
	for (at = 0; at < user->hash_count; at++)
		if (memcmp(user->hashes[at], hash, sizeof(hash)) == 0)
			break;
	if (!adds && at == user->hash_count)
		return ACL_NO_SUCH_PASSWORD;
	if (!adds) {
		memmove(user->hashes + at, user->hashes + at + 1,
		    (--user->hash_count - at) * sizeof(*user->hashes));
		return ACL_OK;
	}
	if (at == ACL_ITEMS_MAX)
		return ACL_TOO_MANY;
	if (at == user->hash_count) {
		user->hashes = xrealloc(user->hashes, (at + 1) * sizeof(*user->hashes));
		memcpy(user->hashes[at], hash, sizeof(hash));
		user->hash_count++;
	}
	user->nopass = false;
	return ACL_OK;
}

/* "(~key +command)": words between the parentheses. */
static enum acl_fault
apply_selector(struct acl_user *user, const struct acl_commands *commands, bool all_channels,
    struct slice rule)
{
	struct slice rest = {rule.ptr + 1, rule.len - 2};
	enum acl_fault fault = ACL_OK;
	struct acl_selector selector;

	if (user->selector_count == ACL_SELECTORS_MAX)
		return ACL_TOO_MANY;
	acl_selector_init(&selector, all_channels);
	while (fault == ACL_OK && rest.len > 0) {
		const char *end = memchr(rest.ptr, ' ', rest.len);
		size_t len = end != NULL ? (size_t)(end - rest.ptr) : rest.len;

		/* A word that ends in ) would end the selector when the description is parsed. */
		if (len > 0 && rest.ptr[len - 1] == ')')
			fault = ACL_BAD_SYNTAX;
		else if (len > 0)
			fault =
			    acl_selector_apply(&selector, commands, (struct slice){rest.ptr, len});
		len += len < rest.len;
		rest = (struct slice){rest.ptr + len, rest.len - len};
	}
	if (fault != ACL_OK) {
		acl_selector_release(&selector);
		return fault;
	}
	user->selectors =
	    xrealloc(user->selectors, (user->selector_count + 1) * sizeof(*user->selectors));
	user->selectors[user->selector_count++] = selector;
	return ACL_OK;
}

static void
clear_selectors(struct acl_user *user)
{
	while (user->selector_count > 1)
		acl_selector_release(&user->selectors[--user->selector_count]);
}

static void
reset(struct acl_user *user, bool all_channels)
{
	clear_selectors(user);
	acl_selector_release(&user->selectors[0]);
	acl_selector_init(&user->selectors[0], all_channels);
	user->enabled = user->nopass = user->jwt = false;
	user->limits = (struct acl_limits){0};
	user->sanitizes = true;
	user->hash_count = 0;
}

/* One rule, of the user or of its root selector. */
static enum acl_fault
apply_one(struct acl_user *user, const struct acl_commands *commands, bool all_channels,
    struct slice rule)
{
	size_t longest = ACL_RULE_BYTES_MAX;

	if (rule.len == 0)
		return ACL_OK;
	if (rule.ptr[0] == '(')
		longest *= 16;
	if (rule.len > longest)
		return ACL_BAD_SYNTAX;
	if (rule.ptr[0] != '\0' && strchr("><#!", rule.ptr[0]) != NULL)
		return apply_password(user, rule);
	if (rule.ptr[0] == '(' && rule.ptr[rule.len - 1] == ')')
		return apply_selector(user, commands, all_channels, rule);
	if (acl_is_limit(rule))
		return acl_limits_apply(&user->limits, rule) ? ACL_OK : ACL_BAD_SYNTAX;
	if (slice_is_nocase(rule, "on")) {
		user->enabled = true;
	} else if (slice_is_nocase(rule, "off")) {
		user->enabled = false;
	} else if (slice_is_nocase(rule, "nopass")) {
		user->nopass = true;
		user->hash_count = 0;
	} else if (slice_is_nocase(rule, "resetpass")) {
		user->nopass = false;
		user->hash_count = 0;
	} else if (slice_is_nocase(rule, "jwt")) {
		user->jwt = true;
	} else if (slice_is_nocase(rule, "nojwt")) {
		user->jwt = false;
	} else if (slice_is_nocase(rule, "sanitize-payload")) {
		user->sanitizes = true;
	} else if (slice_is_nocase(rule, "skip-sanitize-payload")) {
		user->sanitizes = false;
	} else if (slice_is_nocase(rule, "clearselectors")) {
		clear_selectors(user);
	} else if (slice_is_nocase(rule, "reset")) {
		reset(user, all_channels);
	} else {
		return acl_selector_apply(&user->selectors[0], commands, rule);
	}
	return ACL_OK;
}

/* Appends rules up to the one that ends in ')', with blanks between them; false: none does. */
static bool
join_selector(const struct slice *rules, size_t count, size_t *at, struct buffer *out)
{
	buffer_clear(out);
	for (; *at < count; ++*at) {
		if (out->len > 0)
			buffer_append_str(out, " ");
		buffer_append_slice(out, rules[*at]);
		if (rules[*at].len > 0 && rules[*at].ptr[rules[*at].len - 1] == ')')
			return true;
	}
	return false;
}

static bool
is_unrestricted(const struct acl_user *user)
{
	for (size_t i = 0; i < user->selector_count; i++) {
		const struct acl_selector *s = &user->selectors[i];

		if (s->all_commands && s->all_keys && s->all_channels)
			return true;
	}
	return false;
}

enum acl_fault
acl_user_apply(struct acl_user *user, const struct acl_commands *commands, bool all_channels,
    const struct slice *rules, size_t count, struct buffer *offender)
{
	struct buffer joined = {0};
	enum acl_fault fault = ACL_OK;

	for (size_t i = 0; i < count && fault == ACL_OK; i++) {
		struct slice rule = rules[i];

		if (rule.len > 0 && rule.ptr[0] == '(') {
			if (join_selector(rules, count, &i, &joined))
				rule = buffer_slice(&joined);
			else
				fault = ACL_UNMATCHED;
		}
		if (fault == ACL_OK)
			fault = apply_one(user, commands, all_channels, rule);
		if (fault != ACL_OK)
			buffer_append(
			    offender, rule.ptr, rule.len < SHOWN_MAX ? rule.len : SHOWN_MAX);
	}
	buffer_release(&joined);
	user->unrestricted = is_unrestricted(user);
	return fault;
}

size_t
acl_user_flags(const struct acl_user *user, const char *flags[4])
{
	size_t count = 0;

	flags[count++] = user->enabled ? "on" : "off";
	if (user->nopass)
		flags[count++] = "nopass";
	flags[count++] = user->sanitizes ? "sanitize-payload" : "skip-sanitize-payload";
	if (user->jwt)
		flags[count++] = "jwt";
	return count;
}

void
acl_user_describe(const struct acl_user *user, struct buffer *out)
{
	const char *flags[4];
	size_t count = acl_user_flags(user, flags);

	buffer_append_str(out, "user ");
	buffer_append(out, user->name, user->name_len);
	for (size_t i = 0; i < count; i++)
		buffer_appendf(out, " %s", flags[i]);
	for (size_t i = 0; i < user->hash_count; i++) {
		buffer_append_str(out, " #");
		buffer_append(out, user->hashes[i], ACL_HASH_LEN);
	}
	acl_limits_describe(&user->limits, out);
	for (size_t i = 0; i < user->selector_count; i++) {
		buffer_append_str(out, i > 0 ? " (" : " ");
		acl_selector_describe(&user->selectors[i], out);
		if (i > 0)
			buffer_append_str(out, ")");
	}
}

#include "config.h"

#include "acl/acl.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "acl/check.h"
#include "base/alloc.h"
#include "base/hash_map.h"

#define ERRORS_MAX 16

/* Sorted by name, which is the order of ACL LIST; searched by bisection. */
struct users {
	struct acl_user **items;
	size_t count;
};

struct acl {
	struct users users;
	const struct acl_commands *commands; /* borrowed */
	bool all_channels;
	struct buffer kept; /* the name of the kept user; empty: none */
};

static struct slice
name_of(const struct acl_user *user)
{
	return (struct slice){user->name, user->name_len};
}

static int
order_of(const struct acl_user *user, struct slice name)
{
	return slice_compare(name_of(user), name);
}

/* The index of the user of that name, or where one would be inserted. */
static size_t
place_of(const struct users *users, struct slice name, bool *found)
{
	size_t low = 0, high = users->count;

	*found = false;
	/* A file that ACL SAVE wrote is sorted: most users are appended. */
	if (high > 0 && order_of(users->items[high - 1], name) < 0)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = order_of(users->items[middle], name);

		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct acl_user *
find(const struct users *users, struct slice name)
{
	bool found;
	size_t at;

	if (users->count == 0)
		return NULL;
	at = place_of(users, name, &found);
	return found ? users->items[at] : NULL;
}

/* Takes the caller's reference. */
static void
add(struct users *users, struct acl_user *user)
{
	bool found;
	size_t at = place_of(users, name_of(user), &found);

	assert(!found);
	users->items = xrealloc(users->items, (users->count + 1) * sizeof(struct acl_user *));
	memmove(users->items + at + 1, users->items + at,
	    (users->count++ - at) * sizeof(struct acl_user *));
	users->items[at] = user;
}

static void
release(struct users *users)
{
	for (size_t i = 0; i < users->count; i++)
		acl_user_unref(users->items[i]);
	xfree(users->items);
	*users = (struct users){NULL, 0};
}

/* The user default as it is without a configuration. */
static void
make_default(const struct acl *acl, struct acl_user *user, struct slice password)
{
	const struct slice rules[] = {
	    SLICE("on"), SLICE("nopass"), SLICE("~*"), SLICE("&*"), SLICE("+@all")};
	struct buffer offender = {0};
	enum acl_fault fault = acl_user_apply(
	    user, acl->commands, false, rules, sizeof(rules) / sizeof(*rules), &offender);

	assert(fault == ACL_OK);
	if (password.len > 0) {
		user->hashes = xrealloc(user->hashes, sizeof(*user->hashes));
		acl_hash(password, user->hashes[0]);
		user->hash_count = 1;
		user->nopass = false;
	}
}

struct acl *
acl_new(const struct acl_commands *commands)
{
	struct acl *acl = xcalloc(1, sizeof(*acl));
	struct acl_user *user = acl_user_new(SLICE("default"), false);

	acl->commands = commands;
	make_default(acl, user, SLICE(""));
	add(&acl->users, user);
	return acl;
}

void
acl_free(struct acl *acl)
{
	release(&acl->users);
	buffer_release(&acl->kept);
	xfree(acl);
}

void
acl_set_all_channels(struct acl *acl, bool all_channels)
{
	acl->all_channels = all_channels;
}

void
acl_set_default_password(struct acl *acl, struct slice password)
{
	struct acl_user *user = acl_default(acl);

	user->hash_count = 0;
	user->nopass = password.len == 0;
	if (password.len == 0)
		return;
	user->hashes = xrealloc(user->hashes, sizeof(*user->hashes));
	acl_hash(password, user->hashes[0]);
	user->hash_count = 1;
}

struct acl_user *
acl_find(const struct acl *acl, struct slice name)
{
	return find(&acl->users, name);
}

struct acl_user *
acl_default(const struct acl *acl)
{
	struct acl_user *user = acl_find(acl, SLICE("default"));

	assert(user != NULL);
	return user;
}

size_t
acl_count(const struct acl *acl)
{
	return acl->users.count;
}

struct acl_user *
acl_at(const struct acl *acl, size_t index)
{
	return index < acl->users.count ? acl->users.items[index] : NULL;
}

static bool
is_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] == '\0' || isspace((unsigned char)name.ptr[i]))
			return false;
	return name.len > 0 && name.len <= ACL_RULE_BYTES_MAX;
}

/* Adds the kept user to these users if it is not among them. */
static void
add_kept(const struct acl *acl, struct users *users)
{
	struct slice name = buffer_slice(&acl->kept);

	if (name.len > 0 && users->count < ACL_USERS_MAX && find(users, name) == NULL)
		add(users, acl_user_new(name, false));
}

void
acl_keep_user(struct acl *acl, struct slice name)
{
	buffer_clear(&acl->kept);
	if (is_name(name))
		buffer_append_slice(&acl->kept, name);
	add_kept(acl, &acl->users);
}

struct acl_user *
acl_kept_user(const struct acl *acl)
{
	return acl->kept.len > 0 ? acl_find(acl, buffer_slice(&acl->kept)) : NULL;
}

bool
acl_set_user(struct acl *acl, struct slice name, const struct slice *rules, size_t count,
    bool *narrowed, struct buffer *error)
{
	struct acl_user *user, *next;
	struct buffer offender = {0};
	enum acl_fault fault;

	*narrowed = false;
	if (name.len == 0) {
		/* Redis accepts an empty name, but a file of users cannot contain one. */
		buffer_append_str(error, "Usernames can't be empty");
		return false;
	}
	if (!is_name(name)) {
		buffer_append_str(error, "Usernames can't contain spaces or null characters");
		return false;
	}
	user = acl_find(acl, name);
	if (user == NULL && acl->users.count >= ACL_USERS_MAX) {
		buffer_appendf(error, "There are %d users, more are not allowed", ACL_USERS_MAX);
		return false;
	}
	next = acl_user_new(name, acl->all_channels);
	if (user != NULL)
		acl_user_copy_rules(next, user);
	fault = acl_user_apply(next, acl->commands, acl->all_channels, rules, count, &offender);
	if (fault == ACL_UNMATCHED)
		buffer_appendf(error, "Unmatched parenthesis in acl selector starting at '%.*s'.",
		    (int)offender.len, offender.ptr);
	else if (fault != ACL_OK)
		buffer_appendf(error, "Error in ACL SETUSER modifier '%.*s': %s", (int)offender.len,
		    offender.ptr != NULL ? offender.ptr : "", acl_fault_text(fault));
	buffer_release(&offender);
	if (fault == ACL_OK && user != NULL) {
		*narrowed = !acl_receives_as_much(user, next);
		acl_user_take_rules(user, next);
	} else if (fault == ACL_OK) {
		add(&acl->users, next);
	} else {
		acl_user_unref(next);
	}
	return fault == ACL_OK;
}

static void
mark_deleted(struct acl_user *user)
{
	user->deleted = true;
	user->unrestricted = false;
}

bool
acl_delete(struct acl *acl, struct slice name)
{
	bool found;
	size_t at = place_of(&acl->users, name, &found);
	struct acl_user *user;

	if (!found)
		return false;
	user = acl->users.items[at];
	memmove(acl->users.items + at, acl->users.items + at + 1,
	    (--acl->users.count - at) * sizeof(struct acl_user *));
	mark_deleted(user);
	acl_user_unref(user);
	add_kept(acl, &acl->users);
	return true;
}

/* The next of the words separated by blanks; false at the end. */
static bool
next_word(struct slice *rest, struct slice *word)
{
	while (rest->len > 0 && isspace((unsigned char)rest->ptr[0]))
		*rest = (struct slice){rest->ptr + 1, rest->len - 1};
	word->ptr = rest->ptr;
	for (word->len = 0; word->len < rest->len; word->len++)
		if (isspace((unsigned char)rest->ptr[word->len]))
			break;
	*rest = (struct slice){rest->ptr + word->len, rest->len - word->len};
	return word->len > 0;
}

/* Adds the user of one line to users. False: error says why and never contains a password. */
static bool
load_line(const struct acl *acl, struct users *users, struct slice line, struct buffer *error)
{
	struct slice word, name, *rules;
	struct buffer offender = {0};
	struct acl_user *user;
	enum acl_fault fault;
	size_t count = 0;

	if (!next_word(&line, &word) || word.ptr[0] == '#')
		return true;
	if (!slice_is(word, "user") || !next_word(&line, &name) || !is_name(name)) {
		buffer_append_str(error, "a line is 'user NAME rule ...'");
		return false;
	}
	if (find(users, name) != NULL || users->count == ACL_USERS_MAX) {
		bool is_full = users->count == ACL_USERS_MAX;

		buffer_append_str(error, is_full ? "user '" : "Duplicate user '");
		buffer_append_escaped(error, name);
		buffer_append_str(error, is_full ? "': too many users" : "' found");
		return false;
	}
	rules = xcalloc(line.len / 2 + 1, sizeof(*rules));
	while (next_word(&line, &word))
		rules[count++] = word;
	user = acl_user_new(name, acl->all_channels);
	fault = acl_user_apply(user, acl->commands, acl->all_channels, rules, count, &offender);
	xfree(rules);
	if (fault != ACL_OK) {
		buffer_append_str(error, "rule '");
		if (strchr("><#!", offender.ptr[0]) != NULL)
			offender.len = 1;
		buffer_append_escaped(error, buffer_slice(&offender));
		buffer_appendf(error, "': %s", acl_fault_text(fault));
		acl_user_unref(user);
	} else {
		add(users, user);
	}
	buffer_release(&offender);
	return fault == ACL_OK;
}

/* Replaces the table by what was loaded. A user that is in both keeps its object. */
static void
adopt(struct acl *acl, struct users *loaded)
{
	struct users old = acl->users;
	size_t at = 0;

	for (size_t i = 0; i < loaded->count; i++) {
		struct acl_user *next = loaded->items[i];
		int order = -1;

		while (at < old.count && (order = order_of(old.items[at], name_of(next))) < 0)
			mark_deleted(old.items[at++]);
		if (at == old.count || order > 0)
			continue;
		acl_user_take_rules(old.items[at], next);
		loaded->items[i] = acl_user_ref(old.items[at++]);
	}
	while (at < old.count)
		mark_deleted(old.items[at++]);
	acl->users = *loaded;
	release(&old);
}

bool
acl_load(struct acl *acl, struct slice text, const char *path, struct slice default_password,
    struct buffer *error)
{
	struct users loaded = {NULL, 0};
	size_t line_number = 0, errors = 0;

	while (text.len > 0 && errors < ERRORS_MAX) {
		const char *end = memchr(text.ptr, '\n', text.len);
		struct slice line = {text.ptr, end != NULL ? (size_t)(end - text.ptr) : text.len};
		struct buffer fault = {0};

		line_number++;
		if (!load_line(acl, &loaded, line, &fault)) {
			buffer_appendf(
			    error, "%s%s:%zu: ", errors++ > 0 ? "; " : "", path, line_number);
			buffer_append_slice(error, buffer_slice(&fault));
		}
		buffer_release(&fault);
		line.len += end != NULL;
		text = (struct slice){text.ptr + line.len, text.len - line.len};
	}
	if (errors > 0) {
		release(&loaded);
		return false;
	}
	if (find(&loaded, SLICE("default")) == NULL) {
		struct acl_user *user = acl_user_new(SLICE("default"), false);

		make_default(acl, user, default_password);
		add(&loaded, user);
	}
	add_kept(acl, &loaded);
	adopt(acl, &loaded);
	return true;
}

bool
acl_check_line(const struct acl_commands *commands, struct slice line, struct buffer *error)
{
	struct users users = {NULL, 0};
	struct acl *acl = acl_new(commands);
	bool ok = load_line(acl, &users, line, error);

	release(&users);
	acl_free(acl);
	return ok;
}

bool
acl_canonical_line(
    const struct acl_commands *commands, struct slice line, bool all_channels, struct buffer *out)
{
	struct users users = {NULL, 0};
	struct acl *acl = acl_new(commands);
	struct buffer error = {0};
	bool ok;

	acl_set_all_channels(acl, all_channels);
	ok = load_line(acl, &users, line, &error) && users.count == 1;
	if (ok)
		acl_user_describe(users.items[0], out);
	buffer_release(&error);
	release(&users);
	acl_free(acl);
	return ok;
}

void
acl_describe(
    const struct acl *acl, bool without_default, struct slice default_password, struct buffer *out)
{
	struct acl_user *plain = acl_user_new(SLICE("default"), false);
	struct acl_user *bare = acl_user_new(buffer_slice(&acl->kept), false);
	struct buffer usual = {0}, line = {0}, kept = {0};

	make_default(acl, plain, default_password);
	acl_user_describe(plain, &usual);
	acl_user_unref(plain);
	acl_user_describe(bare, &kept);
	acl_user_unref(bare);
	for (size_t i = 0; i < acl->users.count; i++) {
		buffer_clear(&line);
		acl_user_describe(acl->users.items[i], &line);
		if (without_default && (slice_eq(buffer_slice(&line), buffer_slice(&usual)) ||
					   slice_eq(buffer_slice(&line), buffer_slice(&kept))))
			continue;
		buffer_append_slice(out, buffer_slice(&line));
		buffer_append_str(out, "\n");
	}
	buffer_release(&usual);
	buffer_release(&kept);
	buffer_release(&line);
}

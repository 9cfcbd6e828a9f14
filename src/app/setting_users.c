#include "config.h"

#include "app/setting_users.h"

#include <ctype.h>
#include <string.h>

#include "acl/acl.h"
#include "app/config_file.h"
#include "app/setting_value.h"
#include "base/alloc.h"
#include "cmd/table.h"

void
setting_users_release(struct setting_list *users)
{
	for (size_t i = 0; i < users->count; i++)
		xfree(users->items[i]);
	xfree(users->items);
	*users = (struct setting_list){NULL, 0};
}

static void
append(struct setting_list *users, struct slice line)
{
	char *item = xmalloc(line.len + 1);

	memcpy(item, line.ptr, line.len);
	item[line.len] = '\0';
	users->items = xrealloc(users->items, (users->count + 1) * sizeof(*users->items));
	users->items[users->count++] = item;
}

static void
join(const struct slice *words, size_t count, struct buffer *out)
{
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buffer_append_str(out, " ");
		buffer_append_slice(out, words[i]);
	}
}

/* The line is split at blanks when it is read again, so no word may contain one. */
static bool
are_words(const struct slice *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t at = 0; at < words[i].len; at++)
			if (words[i].ptr[at] == '\0' || isspace((unsigned char)words[i].ptr[at]))
				return false;
		if (words[i].len == 0)
			return false;
	}
	return count > 0;
}

/* True if the words are a name and valid rules; else error says what is wrong. */
static bool
is_good(const struct slice *words, size_t count, struct buffer *error)
{
	struct buffer line = {0};
	bool ok;

	if (!are_words(words, count)) {
		buffer_append_str(error,
		    "a line is 'user NAME rule ...', and no word of it is empty "
		    "or holds a blank (a password with blanks is given as #"
		    " and its SHA-256)");
		return false;
	}
	buffer_append_str(&line, "user ");
	join(words, count, &line);
	ok = acl_check_line(cmd_table()->acl, buffer_slice(&line), error);
	buffer_release(&line);
	return ok;
}

/* The index of the line of this user; users->count if there is none. */
static size_t
place_of(const struct setting_list *users, struct slice name)
{
	size_t i;

	for (i = 0; i < users->count; i++)
		if (strncmp(users->items[i], name.ptr, name.len) == 0 &&
		    (users->items[i][name.len] == ' ' || users->items[i][name.len] == '\0'))
			break;
	return i;
}

void
setting_users_remove(struct setting_list *users, struct slice name)
{
	size_t place = place_of(users, name);

	if (name.len == 0 || place == users->count)
		return;
	xfree(users->items[place]);
	memmove(users->items + place, users->items + place + 1,
	    (--users->count - place) * sizeof(*users->items));
}

enum setting_fault
setting_users_add(struct setting_list *users, const struct slice *words, size_t count)
{
	struct buffer text = {0};
	bool ok;

	if (count == 1 && words[0].len == 0) {
		setting_users_release(users);
		return SETTING_OK;
	}
	if (users->count == SETTING_USERS_MAX)
		return SETTING_TOO_MANY_USERS;
	ok = is_good(words, count, &text);
	buffer_clear(&text);
	if (ok && place_of(users, words[0]) < users->count) {
		buffer_release(&text);
		return SETTING_DUPLICATE_USER;
	}
	join(words, count, &text);
	if (ok)
		append(users, buffer_slice(&text));
	buffer_release(&text);
	return ok ? SETTING_OK : SETTING_BAD_USER;
}

void
setting_users_explain(
    enum setting_fault fault, const struct slice *words, size_t count, struct buffer *out)
{
	if (fault == SETTING_DUPLICATE_USER)
		buffer_append_str(
		    out, "Duplicate user found. A user can only be defined once in config files");
	else if (fault == SETTING_TOO_MANY_USERS)
		buffer_appendf(
		    out, "more than %d users: allowed is an aclfile for more", SETTING_USERS_MAX);
	else if (is_good(words, count, out))
		buffer_append_str(out, "a line is 'user NAME rule ...'");
}

/* A hash needs no quotes: # begins a comment at the beginning of a line only. */
static void
write_word(struct slice word, bool quoted, struct buffer *out)
{
	bool plain = true;

	for (size_t i = 0; i < word.len; i++)
		plain = plain && word.ptr[i] > ' ' && word.ptr[i] < 0x7f &&
			strchr("\"'\\", word.ptr[i]) == NULL;
	if (plain || !quoted)
		buffer_append_slice(out, word);
	else
		value_write_word(word, out);
}

void
setting_users_write(const struct setting_list *users, bool quoted, struct buffer *out)
{
	for (size_t i = 0; i < users->count; i++) {
		const char *at = users->items[i];

		buffer_append_str(out, i > 0 ? "\nuser" : "user");
		while (*at != '\0') {
			size_t len = strcspn(at, " ");

			buffer_append_str(out, " ");
			write_word((struct slice){at, len}, quoted, out);
			at += len;
			at += *at == ' ';
		}
	}
}

/* The lines in canonical form: lines with the same meaning become equal. */
static struct setting_list
canonical(const struct setting_list *users, bool all_channels)
{
	struct setting_list lines = {NULL, 0};
	struct buffer given = {0}, line = {0};

	for (size_t i = 0; i < users->count; i++) {
		buffer_clear(&given);
		buffer_clear(&line);
		buffer_appendf(&given, "user %s", users->items[i]);
		if (acl_canonical_line(cmd_table()->acl, buffer_slice(&given), all_channels, &line))
			append(&lines, buffer_slice(&line));
		else
			append(&lines, buffer_slice(&given));
	}
	buffer_release(&given);
	buffer_release(&line);
	return lines;
}

static bool
has(const struct setting_list *lines, const char *line)
{
	for (size_t i = 0; i < lines->count; i++)
		if (strcmp(lines->items[i], line) == 0)
			return true;
	return false;
}

bool
setting_users_subtract(const struct setting_list *users, const struct setting_list *known,
    bool all_channels, struct setting_list *rest)
{
	struct setting_list lines, known_lines;
	bool ok = true;

	*rest = (struct setting_list){NULL, 0};
	if (known->count == 0) {
		for (size_t i = 0; i < users->count; i++)
			append(rest, slice_of(users->items[i]));
		return true;
	}
	lines = canonical(users, all_channels);
	known_lines = canonical(known, all_channels);
	for (size_t i = 0; i < known_lines.count && ok; i++)
		ok = has(&lines, known_lines.items[i]);
	for (size_t i = 0; i < lines.count && ok; i++)
		if (!has(&known_lines, lines.items[i]))
			append(rest, slice_of(users->items[i]));
	setting_users_release(&lines);
	setting_users_release(&known_lines);
	return ok;
}

bool
setting_users_take(struct setting_list *users, struct slice text)
{
	struct setting_list taken = {NULL, 0};
	struct slice line;

	while (config_next_line(&text, &line))
		if (line.len > strlen("user "))
			append(&taken,
			    (struct slice){line.ptr + strlen("user "), line.len - strlen("user ")});
	if (taken.count > SETTING_USERS_MAX) {
		setting_users_release(&taken);
		return false;
	}
	setting_users_release(users);
	*users = taken;
	return true;
}

#include "config.h"

#include "app/config_source.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "app/config_file.h"
#include "app/setting_channels.h"
#include "app/setting_fault.h"
#include "app/setting_guess.h"
#include "app/setting_users.h"
#include "base/alloc.h"

#define BLANKS " \t\n\v\f\r"
#define DIRECTIVE_SHOWN_MAX 64 /* bytes of an unknown directive that the error repeats */

static const struct {
	const char *name;
	enum config_mode mode;
} modes[] = {
    {"--check-config", CONFIG_MODE_CHECK},
    {"--show-config", CONFIG_MODE_SHOW},
    {"--version", CONFIG_MODE_VERSION},
    {"-v", CONFIG_MODE_VERSION},
    {"--help", CONFIG_MODE_HELP},
    {"-h", CONFIG_MODE_HELP},
};

static bool
find_mode(const char *arg, enum config_mode *mode)
{
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		if (strcmp(arg, modes[i].name) == 0) {
			*mode = modes[i].mode;
			return true;
		}
	}
	return false;
}

static void
explain_unknown(struct slice name, struct buffer *error)
{
	const char *guess = setting_guess(name);

	if (name.len > DIRECTIVE_SHOWN_MAX)
		name.len = DIRECTIVE_SHOWN_MAX;
	buffer_append_str(error, "unknown directive '");
	buffer_append_escaped(error, name);
	if (guess != NULL)
		buffer_appendf(error, "': did you mean %s?", guess);
	else
		buffer_append_str(error, "': allowed are those of fanfared.conf(5)");
}

static void
add_value(struct override *override, struct slice value)
{
	override->values =
	    xrealloc(override->values, (override->count + 1) * sizeof(*override->values));
	override->values[override->count++] = value;
}

static bool
has_blank(const char *arg)
{
	return arg[strcspn(arg, BLANKS)] != '\0';
}

/* Reads `--directive value ...` from one word. */
static bool
split_override(struct override *override, const char *arg, struct buffer *error)
{
	if (!config_split(slice_of(arg + 2), &override->line)) {
		buffer_append_escaped(error, slice_of(arg));
		buffer_append_str(error,
		    ": unbalanced quotes: a quote is closed before a blank or the word's end");
		return false;
	}
	if (override->line.count > 0)
		override->name = override->line.words[0];
	for (size_t i = 1; i < override->line.count; i++)
		add_value(override, override->line.words[i]);
	return true;
}

/* arg begins with two dashes. */
static bool
add_override(struct config_source *source, const char *arg, struct buffer *error)
{
	struct override *override;

	source->overrides =
	    xrealloc(source->overrides, (source->override_count + 1) * sizeof(*source->overrides));
	override = &source->overrides[source->override_count++];
	*override = (struct override){.name = slice_of(arg + 2)};
	if (has_blank(arg) && !split_override(override, arg, error))
		return false;
	if (settings_find(override->name) != NULL)
		return true;
	explain_unknown(override->name, error);
	return false;
}

static bool
set_file(struct config_source *source, const char *file, struct buffer *error)
{
	if (file == NULL || file[0] == '\0') {
		buffer_append_str(error, "-c takes one value: the path of a configuration file");
		return false;
	}
	if (source->file != NULL) {
		buffer_appendf(error,
		    "%s: one configuration file is allowed, and %s was given before", file,
		    source->file);
		return false;
	}
	source->file = xstrdup(file);
	return true;
}

static bool
set_import(struct config_source *source, const char *path, struct buffer *error)
{
	source->import = path;
	if (path != NULL && path[0] != '\0')
		return true;
	buffer_append_str(error, "--import takes one value: a file or folder of Redis");
	return false;
}

bool
config_source_parse(struct config_source *source, int argc, char **argv, struct buffer *error)
{
	bool in_override = false; /* plain words are the values of a directive */
	int i;

	*source = (struct config_source){.mode = CONFIG_MODE_RUN};
	for (i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (strcmp(arg, "-c") == 0) {
			if (!set_file(source, argv[++i], error))
				return false;
			in_override = false;
		} else if (strcmp(arg, "--import") == 0) {
			if (!set_import(source, argv[++i], error))
				return false;
			in_override = false;
		} else if (find_mode(arg, &source->mode)) {
			in_override = false;
		} else if (strncmp(arg, "--", 2) == 0 && arg[2] != '\0') {
			if (!add_override(source, arg, error))
				return false;
			in_override = true;
		} else if (in_override) {
			add_value(&source->overrides[source->override_count - 1], slice_of(arg));
		} else if (arg[0] == '-') {
			buffer_appendf(error, "unknown option '%s'", arg);
			return false;
		} else if (!set_file(source, arg, error)) {
			return false;
		}
	}
	return true;
}

void
config_source_release(struct config_source *source)
{
	size_t i;

	for (i = 0; i < source->override_count; i++) {
		xfree(source->overrides[i].values);
		config_words_release(&source->overrides[i].line);
	}
	xfree(source->overrides);
	xfree(source->file);
	*source = (struct config_source){.mode = CONFIG_MODE_RUN};
}

bool
config_source_anchor(struct config_source *source)
{
	char *absolute;

	if (source->file == NULL)
		return true;
	absolute = realpath(source->file, NULL);
	if (absolute == NULL)
		return false;
	xfree(source->file);
	source->file = xstrdup(absolute);
	free(absolute);
	return true;
}

bool
config_source_apply(void *settings, struct slice name, const struct slice *values, size_t count,
    struct buffer *error)
{
	const struct setting *row = settings_find(name);
	enum setting_fault fault;

	if (row == NULL) {
		explain_unknown(name, error);
		return false;
	}
	fault = settings_add(settings, row, values, count);
	if (fault != SETTING_OK)
		setting_explain_fault(row, fault, values, count, error);
	return fault == SETTING_OK;
}

static void
remove_save_rules(struct settings *s, const struct setting *row)
{
	const struct slice none = SLICE("");
	enum setting_fault fault = settings_set(s, row, &none, 1);

	assert(fault == SETTING_OK);
}

/* A user of the command line replaces the user of the file with the same name, a channel line the
 * one with the same glob, and save rules replace all. Both can be there, because CONFIG REWRITE
 * writes those of the command line to the file. */
static void
overrule_lines(const struct config_source *source, struct settings *s)
{
	for (size_t i = 0; i < source->override_count; i++) {
		const struct override *override = &source->overrides[i];
		const struct setting *row = settings_find(override->name);

		if (row == NULL)
			continue;
		if (row->type == SETTING_SAVE_RULES)
			remove_save_rules(s, row);
		else if (row->type == SETTING_USERS && override->count > 0)
			setting_users_remove(&s->users, override->values[0]);
		else if (row->type == SETTING_CHANNELS && override->count > 0)
			setting_channels_remove(s->channels, override->values[0]);
	}
}

static bool
apply_overrides(const struct config_source *source, struct settings *s, struct buffer *error)
{
	struct buffer text = {0}, line = {0};
	bool ok = true;

	overrule_lines(source, s);
	for (size_t i = 0; i < source->override_count; i++) {
		const struct override *override = &source->overrides[i];

		buffer_clear(&text);
		if (config_source_apply(
			s, override->name, override->values, override->count, &text))
			continue;
		ok = false;
		buffer_clear(&line);
		buffer_append_str(&line, "--");
		buffer_append_escaped(&line, override->name);
		buffer_append_str(&line, ": ");
		buffer_append_slice(&line, buffer_slice(&text));
		config_add_mistake(buffer_slice(&line), error);
	}
	buffer_release(&text);
	buffer_release(&line);
	return ok;
}

bool
config_source_load(const struct config_source *source, struct settings *s, struct buffer *error)
{
	const struct slice both = SLICE(
	    "user and aclfile exclude each other: configuring users in the configuration file and "
	    "an ACL file at the same time leads to errors and security holes");
	bool ok = true;

	settings_init(s);
	if (source->file != NULL)
		ok = config_read_file(source->file, config_source_apply, s, error);
	ok = apply_overrides(source, s, error) && ok;
	settings_derive(s);
	if (s->aclfile[0] != '\0' && s->users.count > 0) {
		config_add_mistake(both, error);
		ok = false;
	}
	ok = settings_agree_all(s, error) && ok;
	if (!ok)
		settings_release(s);
	return ok;
}

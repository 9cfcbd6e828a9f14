#include "config.h"

#include <check.h>
#include <string.h>
#include <strings.h>

#include "app/config_file.h"
#include "app/foreign_notes.h"
#include "app/setting_fault.h"
#include "app/setting_value.h"
#include "app/settings.h"
#include "app/testing_settings.h"
#include "base/testing.h"

/* The rows of foreign_directives.def among the settings, and the notes about them. */

static struct settings s;
static struct buffer out;

static void
setup(void)
{
	settings_init(&s);
}

static void
teardown(void)
{
	settings_release(&s);
	buffer_release(&out);
}

/* A line of a file: its words have blanks between them. */
static enum setting_fault
add(const char *name, const char *line)
{
	struct config_words words = {0};
	enum setting_fault fault;

	ck_assert(config_split(slice_of(line), &words));
	fault = settings_add(&s, testing_setting(name), words.words, words.count);
	config_words_release(&words);
	return fault;
}

static const char *
shown(const char *name)
{
	return testing_shown(&s, name, &out);
}

static const char *
explained(const char *name, const char *line)
{
	struct config_words words = {0};

	ck_assert(config_split(slice_of(line), &words));
	buffer_clear(&out);
	setting_explain_fault(
	    testing_setting(name), add(name, line), words.words, words.count, &out);
	config_words_release(&words);
	return testing_text(&out);
}

START_TEST(no_name_stands_twice)
{
	const size_t rows = settings_count(), all = rows + settings_alias_count();
	const struct setting *row;

	for (size_t i = 0; i < all; i++) {
		const char *name =
		    i < rows ? settings_row(i)->name : settings_alias(i - rows, &row);

		for (size_t k = 0; k < i; k++) {
			const char *other =
			    k < rows ? settings_row(k)->name : settings_alias(k - rows, &row);

			ck_assert_msg(strcasecmp(name, other) != 0, "%s stands twice", name);
		}
	}
}
END_TEST

START_TEST(an_old_name_is_that_of_a_directive)
{
	const struct setting *row;

	for (size_t i = 0; i < settings_alias_count(); i++) {
		const char *name = settings_alias(i, &row);

		ck_assert_msg(row != NULL, "%s", name);
		ck_assert_ptr_eq(testing_setting(name), row);
		ck_assert_str_eq(settings_spell(slice_of(name)), name);
	}
	ck_assert_str_eq(settings_spell(SLICE("Slave-Priority")), "slave-priority");
	ck_assert_str_eq(settings_spell(SLICE("PORT")), "port");
	ck_assert_int_eq(add("hash-max-ziplist-entries", "77"), SETTING_OK);
	ck_assert_str_eq(shown("hash-max-listpack-entries"), "77");
}
END_TEST

START_TEST(an_ignored_directive_takes_valid_values_and_shows_them)
{
	ck_assert_int_eq(add("hz", "100"), SETTING_OK);
	ck_assert_str_eq(shown("hz"), "100");
	ck_assert_int_eq(add("repl-backlog-size", "2mb"), SETTING_OK);
	ck_assert_str_eq(shown("repl-backlog-size"), "2097152");
	ck_assert_int_eq(add("oom-score-adj-values", "0 1 2"), SETTING_OK);
	ck_assert_str_eq(shown("oom-score-adj-values"), "0 1 2");
	ck_assert_int_eq(add("masterauth", "'a b'"), SETTING_OK);
	ck_assert_str_eq(shown("masterauth"), "a b");
	ck_assert_int_eq(add("repl-diskless-load", "SWAPDB"), SETTING_OK);
	ck_assert_str_eq(shown("repl-diskless-load"), "swapdb");
	ck_assert_int_eq(add("hz", "often"), SETTING_BAD_NUMBER);
	ck_assert_int_eq(add("hz", "1 2"), SETTING_BAD_COUNT);
	ck_assert_int_eq(add("rdbchecksum", "maybe"), SETTING_BAD_BOOL);
	ck_assert_int_eq(add("oom-score-adj-values", "0 1 2 3"), SETTING_BAD_COUNT);
	ck_assert_str_eq(shown("hz"), "100");
}
END_TEST

START_TEST(a_limited_directive_takes_the_accepted_values_only)
{
	for (size_t i = 0; i < settings_count(); i++) {
		const struct setting *row = settings_row(i);
		struct slice word;

		if (row->class != SETTING_LIMITED)
			continue;
		ck_assert_msg(row->text[0] != '\0', "%s", row->name);
		for (uint32_t k = 0; (word = value_choice(row->accepted, k)).len > 0; k++) {
			if (slice_is(word, "\"\""))
				word = SLICE("");
			ck_assert_msg(
			    settings_add(&s, row, &word, 1) == SETTING_OK, "%s", row->name);
		}
		word = row->type == SETTING_BOOL ? SLICE("yes") : SLICE("77");
		ck_assert_msg(settings_add(&s, row, &word, 1) == SETTING_NOT_HERE, "%s", row->name);
	}
	ck_assert_int_eq(add("min-replicas-to-write", "many"), SETTING_BAD_NUMBER);
	ck_assert_int_eq(add("cluster-enabled", "no no"), SETTING_BAD_COUNT);
	ck_assert_int_eq(add("cluster-enabled", ""), SETTING_BAD_COUNT);
	ck_assert_str_eq(shown("cluster-enabled"), "no");
	ck_assert_int_eq(add("shutdown-on-sigterm", "now"), SETTING_OK);
	ck_assert_str_eq(shown("shutdown-on-sigterm"), "now");
}
END_TEST

START_TEST(a_refused_directive_takes_no_value)
{
	for (size_t i = 0; i < settings_count(); i++) {
		const struct setting *row = settings_row(i);
		const struct slice values[] = {SLICE(""), SLICE("x")};

		if (row->class != SETTING_REFUSED)
			continue;
		for (size_t count = 0; count <= 2; count++)
			ck_assert_int_eq(settings_add(&s, row, values, count), SETTING_NOT_HERE);
	}
}
END_TEST

START_TEST(a_refusal_says_why_and_what_to_do)
{
	ck_assert_str_eq(explained("slaveof", "10.0.0.1 6379"),
	    "replicaof '10.0.0.1 6379' is refused: there is no replication, and this server would "
	    "answer with keys of its own; remove the line, or leave the clients with the other "
	    "server");
	ck_assert_str_eq(explained("loadmodule", "/a.so"),
	    "loadmodule '/a.so' is refused: modules cannot be loaded; remove the line");
	ck_assert_str_eq(
	    explained("hz", "often"), "'often' is no value for hz: allowed is 0 to 2147483647");
	buffer_clear(&out);
	setting_describe_fault(testing_setting("gopher-enabled"), SETTING_NOT_HERE, &out);
	ck_assert_str_eq(testing_text(&out), "there is no Gopher server; set it to no");
}
END_TEST

START_TEST(a_copy_has_memory_of_its_own)
{
	struct settings copy;

	ck_assert_int_eq(add("masterauth", "secret"), SETTING_OK);
	ck_assert_int_eq(add("oom-score-adj-values", "0 1 2"), SETTING_OK);
	settings_copy(&copy, &s);
	for (size_t i = 0; i < settings_count(); i++)
		ck_assert(settings_equal(&copy, &s, settings_row(i)));
	ck_assert_int_eq(add("masterauth", "other"), SETTING_OK);
	ck_assert(!settings_equal(&copy, &s, testing_setting("masterauth")));
	settings_release(&copy);
}
END_TEST

START_TEST(lines_of_save_add_up)
{
	ck_assert_int_eq(add("save", "900 1"), SETTING_OK);
	ck_assert_int_eq(add("save", "300 10 60 10000"), SETTING_OK);
	ck_assert_int_eq(add("save", "'30 5'"), SETTING_OK);
	ck_assert_str_eq(shown("save"), "900 1 300 10 60 10000 30 5");
	ck_assert_int_eq(add("save", "900"), SETTING_BAD_SAVE_RULES);
	ck_assert_int_eq(add("save", "0 1"), SETTING_BAD_SAVE_RULES);
	/* A line without a value adds nothing, but it names save. */
	s.names_save = false;
	ck_assert_int_eq(add("save", ""), SETTING_OK);
	ck_assert(s.names_save);
	ck_assert_str_eq(shown("save"), "900 1 300 10 60 10000 30 5");
	ck_assert_int_eq(add("save", "\"\""), SETTING_OK);
	ck_assert_str_eq(shown("save"), "");
	for (int i = 0; i < 16; i++)
		ck_assert_int_eq(add("save", "1 1"), SETTING_OK);
	ck_assert_int_eq(add("save", "1 1"), SETTING_BAD_COUNT);
}
END_TEST

START_TEST(the_notes_name_what_was_ignored)
{
	ck_assert(!foreign_notes_ignored(&s, &out));
	ck_assert_int_eq(add("port", "7000"), SETTING_OK);
	ck_assert_int_eq(add("hz", "often"), SETTING_BAD_NUMBER);
	ck_assert(!foreign_notes_ignored(&s, &out));
	ck_assert_int_eq(add("slave-priority", "100"), SETTING_OK);
	ck_assert(foreign_notes_ignored(&s, &out));
	ck_assert_str_eq(testing_text(&out),
	    "1 directive of redis.conf that means nothing here was ignored: replica-priority");
	ck_assert_int_eq(add("hz", "20"), SETTING_OK);
	ck_assert_int_eq(add("hz", "10"), SETTING_OK);
	buffer_clear(&out);
	ck_assert(foreign_notes_ignored(&s, &out));
	ck_assert_str_eq(testing_text(&out),
	    "2 directives of redis.conf that mean nothing here were ignored: replica-priority, hz");
}
END_TEST

/* The log truncates lines after 4 KiB, and begins them with the time. */
START_TEST(the_notes_are_one_line_of_the_log_whatever_the_configuration_names)
{
	for (size_t i = 0; i < SETTINGS_FOREIGN; i++)
		s.names_foreign[i] = true;
	ck_assert(foreign_notes_ignored(&s, &out));
	ck_assert_uint_lt(out.len, 4000);
}
END_TEST

START_TEST(values_of_different_directives_are_apart)
{
	const size_t first = settings_count() - SETTINGS_FOREIGN;

	for (size_t i = 0; i < SETTINGS_FOREIGN; i++)
		ck_assert_uint_eq(settings_row(first + i)->offset,
		    offsetof(struct settings, foreign) + i * sizeof(union foreign_value));
}
END_TEST

START_TEST(the_notes_warn_if_only_redis_would_keep_the_keys)
{
	ck_assert(!foreign_notes_loss(&s, &out));
	ck_assert_int_eq(add("hz", "10"), SETTING_OK);
	ck_assert(foreign_notes_loss(&s, &out));
	ck_assert_int_eq(add("appendonly", "yes"), SETTING_OK);
	ck_assert(!foreign_notes_loss(&s, &out));
	ck_assert_int_eq(add("appendonly", "no"), SETTING_OK);
	ck_assert_int_eq(add("save", "\"\""), SETTING_OK);
	ck_assert(!foreign_notes_loss(&s, &out));
}
END_TEST

START_TEST(a_note_tells_the_defaults_that_differ)
{
	static const char disk[] = "keys are not kept on disk: there is neither a line of save nor "
				   "appendonly yes; Redis would then make snapshots\n";
	static const char address[] = "only clients of this machine can connect: there is no line "
				      "of bind; Redis would then listen on all addresses\n";

	foreign_notes_defaults(&s, &out);
	ck_assert_uint_eq(out.len, strlen(disk) + strlen(address));
	ck_assert_mem_eq(out.ptr, disk, strlen(disk));
	ck_assert_mem_eq(out.ptr + strlen(disk), address, strlen(address));
	buffer_clear(&out);
	ck_assert_int_eq(add("save", "\"\""), SETTING_OK);
	foreign_notes_defaults(&s, &out);
	ck_assert_str_eq(testing_text(&out), address);
	buffer_clear(&out);
	ck_assert_int_eq(add("bind", "::"), SETTING_OK);
	foreign_notes_defaults(&s, &out);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(without_ports_nothing_is_said_of_addresses)
{
	ck_assert_int_eq(add("appendonly", "yes"), SETTING_OK);
	ck_assert_int_eq(add("port", "0"), SETTING_OK);
	foreign_notes_defaults(&s, &out);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(replicaof_no_one_is_accepted)
{
	ck_assert_int_eq(add("replicaof", "no one"), SETTING_OK);
	ck_assert_int_eq(add("slaveof", "NO ONE"), SETTING_OK);
	ck_assert_int_eq(add("replicaof", "no"), SETTING_NOT_HERE);
	ck_assert_int_eq(add("replicaof", "one no"), SETTING_NOT_HERE);
	ck_assert_int_eq(add("replicaof", "no 6379"), SETTING_NOT_HERE);
}
END_TEST

int
main(void)
{
	return testing_main("app/foreign_directives", setup, teardown,
	    (const TTest *[]){no_name_stands_twice, an_old_name_is_that_of_a_directive,
		an_ignored_directive_takes_valid_values_and_shows_them,
		a_limited_directive_takes_the_accepted_values_only,
		a_refused_directive_takes_no_value, a_refusal_says_why_and_what_to_do,
		a_copy_has_memory_of_its_own, lines_of_save_add_up, the_notes_name_what_was_ignored,
		the_notes_are_one_line_of_the_log_whatever_the_configuration_names,
		values_of_different_directives_are_apart,
		the_notes_warn_if_only_redis_would_keep_the_keys,
		a_note_tells_the_defaults_that_differ, without_ports_nothing_is_said_of_addresses,
		replicaof_no_one_is_accepted, NULL});
}

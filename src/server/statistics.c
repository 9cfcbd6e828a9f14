#include "config.h"

#include "server/statistics.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash_map.h"
#include "base/hex.h"
#include "base/latency_histogram.h"
#include "base/log.h"
#include "server/core.h"

/* The maximum of different codes in errorstats, as in Redis. */
#define ERROR_CODES_MAX 128
#define CODE_MAX 31

static void
make_run_id(char out[41])
{
	unsigned char bytes[20] = {0};

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		log_warn("cannot get random bytes for the run id");
	hex_write(out, bytes, sizeof(bytes));
	out[2 * sizeof(bytes)] = '\0';
}

void
statistics_init(struct statistics *s, size_t command_count)
{
	s->commands = xcalloc(command_count, sizeof(*s->commands));
	s->command_count = command_count;
	s->errors = hash_map_new();
	s->started_us = clock_mono_us();
	s->started_wall_us = clock_wall_us();
	make_run_id(s->run_id);
}

static void
free_error_count(struct slice code, void *count, void *arg)
{
	(void)code;
	(void)arg;
	xfree(count);
}

void
statistics_reset_commands(struct statistics *s)
{
	for (size_t i = 0; i < s->command_count; i++) {
		if (s->commands[i].latency != NULL)
			xfree(s->commands[i].latency);
		s->commands[i] = (struct command_stats){0};
	}
}

void
statistics_release(struct statistics *s)
{
	statistics_reset_commands(s);
	hash_map_each(s->errors, free_error_count, NULL);
	hash_map_free(s->errors);
	xfree(s->commands);
}

void
statistics_count_error(struct statistics *s, struct slice text)
{
	const char *space =
	    text.len > 0 ? memchr(text.ptr, ' ', text.len < CODE_MAX ? text.len : CODE_MAX) : NULL;
	struct slice code =
	    space != NULL ? (struct slice){text.ptr, (size_t)(space - text.ptr)} : SLICE("ERR");
	uint64_t *count = hash_map_get(s->errors, code);

	s->counters.errors++;
	if (count == NULL) {
		if (hash_map_count(s->errors) >= ERROR_CODES_MAX)
			return;
		count = xcalloc(1, sizeof(*count));
		hash_map_set(s->errors, code, count);
	}
	++*count;
}

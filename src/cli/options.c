#include "config.h"

#include "cli/options.h"

#include <assert.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define LONG_BASE 256 /* above all short letters */

/* The rows of all sets, in the form that getopt_long needs. */
struct parsing {
	const struct option_row *rows[OPTIONS_MAX_ROWS];
	char *values[OPTIONS_MAX_ROWS];
	size_t count;
	struct option longs[OPTIONS_MAX_ROWS + 1];
	char letters[2 * OPTIONS_MAX_ROWS + 3];
};

static void
gather_rows(struct parsing *p, const struct option_set sets[], size_t set_count, const char *prefix)
{
	char *letter;

	*p = (struct parsing){0};
	letter = stpcpy(p->letters, prefix);
	for (size_t s = 0; s < set_count; s++) {
		for (const struct option_row *row = sets[s].rows; row->name != NULL; row++) {
			assert(p->count < OPTIONS_MAX_ROWS);
			p->rows[p->count] = row;
			p->values[p->count] = (char *)sets[s].values + row->offset;
			p->longs[p->count] = (struct option){.name = row->name,
			    .has_arg = row->value != NULL ? required_argument : no_argument,
			    .val = LONG_BASE + (int)p->count};
			p->count++;
			if (row->letter == 0)
				continue;
			*letter++ = row->letter;
			if (row->value != NULL)
				*letter++ = ':';
		}
	}
}

/* The row for a result of getopt_long, or count if there is none. */
static size_t
row_index(const struct parsing *p, int found)
{
	size_t i = 0;

	if (found >= LONG_BASE)
		return (size_t)(found - LONG_BASE);
	while (i < p->count && (p->rows[i]->letter == 0 || p->rows[i]->letter != found))
		i++;
	return i;
}

static bool
read_real(const char *text, double max, double *out)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(v) || v <= 0 || v > max)
		return false;
	*out = v;
	return true;
}

static bool
read_value(const struct option_row *row, char *value, char *text, struct buffer *error)
{
	uint64_t number;
	double real;

	switch (row->kind) {
	case OPTION_FLAG:
		memcpy(value, &(bool){true}, sizeof(bool));
		return true;
	case OPTION_TEXT:
		memcpy(value, &text, sizeof(text));
		return true;
	case OPTION_NUMBER:
		if (slice_to_u64(slice_of(text), &number) && number >= row->min &&
		    number <= row->max) {
			memcpy(value, &number, sizeof(number));
			return true;
		}
		buffer_appendf(error, "--%s: '%s' is not a number from %" PRIu64 " to %" PRIu64,
		    row->name, text, row->min, row->max);
		return false;
	case OPTION_REAL:
	case OPTION_SECONDS:
		if (!read_real(text, (double)row->max, &real))
			break;
		/* Round up to one microsecond: 0 would mean that the option was not given. */
		number = real < 1e-6 ? 1 : (uint64_t)(real * 1e6);
		if (row->kind == OPTION_REAL)
			memcpy(value, &real, sizeof(real));
		else
			memcpy(value, &number, sizeof(number));
		return true;
	}
	buffer_appendf(error, "--%s: '%s' is not a number above 0 and up to %" PRIu64, row->name,
	    text, row->max);
	return false;
}

static void
name_culprit(const struct parsing *p, char **argv, struct buffer *error)
{
	size_t i = row_index(p, optopt);

	if (optopt == 0)
		buffer_append_str(error, argv[optind - 1]);
	else if (i < p->count && optopt >= LONG_BASE)
		buffer_appendf(error, "--%s", p->rows[i]->name);
	else
		buffer_appendf(error, "-%c", optopt);
}

int
options_parse(int argc, char **argv, const struct option_set sets[], size_t set_count,
    bool stop_at_operand, struct buffer *error)
{
	struct parsing p;
	int found;

	gather_rows(&p, sets, set_count, stop_at_operand ? "+:" : ":");
	optind = 0; /* GNU and musl: restart, in the order that the prefix selects */
	opterr = 0;
	while ((found = getopt_long(argc, argv, p.letters, p.longs, NULL)) != -1) {
		size_t i;

		if (found == ':') {
			name_culprit(&p, argv, error);
			buffer_append_str(error, " needs a value");
			return -1;
		}
		if (found == '?') {
			name_culprit(&p, argv, error);
			buffer_append_str(
			    error, optopt >= LONG_BASE ? " takes no value" : ": unknown option");
			return -1;
		}
		i = row_index(&p, found);
		assert(i < p.count);
		if (!read_value(p.rows[i], p.values[i], optarg, error))
			return -1;
	}
	return optind;
}

void
options_describe(const struct option_row *rows, struct buffer *out)
{
	for (const struct option_row *row = rows; row->name != NULL; row++) {
		size_t from = out->len;

		if (row->letter != 0)
			buffer_appendf(out, "  -%c, --%s", row->letter, row->name);
		else
			buffer_appendf(out, "      --%s", row->name);
		if (row->value != NULL)
			buffer_appendf(out, " %s", row->value);
		buffer_appendf(out, "%*s  %s\n",
		    (int)(out->len - from < 28 ? 28 - (out->len - from) : 0), "", row->text);
	}
}

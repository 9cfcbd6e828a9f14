#include "config.h"

#include "cmd/latency_graph.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS 80
#define ROWS 4

/* A row of a bar has one of these at its top, and | below. */
static const char tops[] = {'_', 'o', '#'};
#define STEPS_A_ROW ((int)sizeof(tops))
#define STEPS (STEPS_A_ROW * ROWS)

#define LABEL_MAX 16

struct scale {
	uint32_t min, max; /* of all samples */
};

static int
step_of(const struct scale *scale, uint32_t ms)
{
	uint64_t span = scale->max > scale->min ? scale->max - scale->min : 1;
	const uint64_t steps = sizeof(tops) * ROWS;
	uint64_t step = (ms - scale->min) * steps / span;

	return step < steps ? (int)step : (int)steps - 1;
}

/* row 0 is the highest. */
static char
bar_at(int step, int row)
{
	int above = step - (ROWS - row - 1) * STEPS_A_ROW;

	return above < 0 ? ' ' : above < STEPS_A_ROW ? tops[above] : '|';
}

/* "5s", "3m", "2h", "1d". */
static void
write_age(uint32_t age_s, char out[LABEL_MAX])
{
	static const struct {
		uint32_t seconds;
		char letter;
	} units[] = {{24 * 3600, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	while (units[i].seconds > 1 && age_s < units[i].seconds)
		i++;
	snprintf(out, LABEL_MAX, "%u%c", age_s / units[i].seconds, units[i].letter);
}

static void
draw_bars(const struct scale *scale, const struct latency_sample *samples, size_t count,
    struct buffer *out)
{
	char line[COLUMNS];

	for (int row = 0; row < ROWS; row++) {
		for (size_t i = 0; i < count; i++)
			line[i] = bar_at(step_of(scale, samples[i].ms), row);
		buffer_append(out, line, count);
		buffer_append_str(out, "\n");
	}
}

static void
draw_ages(const struct latency_sample *samples, size_t count, uint32_t now_s, struct buffer *out)
{
	char ages[COLUMNS][LABEL_MAX], line[COLUMNS];
	size_t longest = 0;

	for (size_t i = 0; i < count; i++) {
		write_age(now_s > samples[i].time_s ? now_s - samples[i].time_s : 0, ages[i]);
		if (strlen(ages[i]) > longest)
			longest = strlen(ages[i]);
	}
	for (size_t at = 0; at < longest; at++) {
		for (size_t i = 0; i < count; i++)
			line[i] = at < strlen(ages[i]) ? ages[i][at] : ' ';
		buffer_append(out, line, count);
		buffer_append_str(out, "\n");
	}
}

void
latency_graph_draw(
    const struct latency_sample *samples, size_t count, uint32_t now_s, struct buffer *out)
{
	struct scale scale = {samples[0].ms, samples[0].ms};
	char blank[COLUMNS];
	size_t from, width, i;

	assert(count > 0);
	memset(blank, ' ', sizeof(blank));
	for (i = 1; i < count; i++) {
		if (samples[i].ms < scale.min)
			scale.min = samples[i].ms;
		if (samples[i].ms > scale.max)
			scale.max = samples[i].ms;
	}
	for (from = 0; from < count; from += width) {
		width = count - from < COLUMNS ? count - from : COLUMNS;
		if (from > 0)
			buffer_append_str(out, "\n");
		draw_bars(&scale, samples + from, width, out);
		buffer_append(out, blank, width);
		buffer_append_str(out, "\n");
		draw_ages(samples + from, width, now_s, out);
	}
}

#include "config.h"

#include "tool/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR_WIDTH = 40, INTERVAL_US = 100000 };

void
progress_init(struct progress *progress)
{
	*progress = (struct progress){.is_terminal = isatty(STDERR_FILENO) == 1};
}

void
progress_show(struct progress *progress, const char *work, uint64_t done, uint64_t all)
{
	uint64_t now_us = progress->is_terminal ? clock_mono_us() : 0;
	double part = all > 0 ? (double)done / (double)all : 1;
	char bar[BAR_WIDTH + 1];
	int filled;

	if (!progress->is_terminal || now_us < progress->next_us)
		return;
	filled = (int)(part * BAR_WIDTH);
	if (filled > BAR_WIDTH)
		filled = BAR_WIDTH;
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', (size_t)filled);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r%-9s [%s] %3d%% of %llu MB", work, bar, (int)(part * 100),
	    (unsigned long long)(all / 1000000));
	progress->is_shown = true;
	progress->next_us = now_us + INTERVAL_US;
}

void
progress_end(struct progress *progress)
{
	if (progress->is_shown)
		fputs("\r\033[K", stderr);
	progress->is_shown = false;
}

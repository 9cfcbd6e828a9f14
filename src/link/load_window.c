#include "config.h"

#include "link/load_window.h"

#include <assert.h>

#define MESSAGE_BYTES 100 /* of a message besides its payload, about, or of a load */

void
load_window_open(struct load_window *window)
{
	window->most = LOAD_WINDOW_LEAST;
	window->loads = 0;
}

size_t
load_window_room(const struct load_window *window)
{
	size_t room = LOAD_WINDOW_BYTES / (window->bytes + MESSAGE_BYTES);

	room = room < window->most ? room : window->most;
	return room > window->loads ? room - window->loads : window->loads == 0;
}

void
load_window_send(struct load_window *window)
{
	window->loads++;
}

void
load_window_take(struct load_window *window, size_t messages, size_t bytes)
{
	bytes += messages * MESSAGE_BYTES;
	window->bytes -= window->bytes / 64;
	if (window->bytes < bytes)
		window->bytes = bytes;
	if (window->most < LOAD_WINDOW_MOST)
		window->most++;
	load_window_skip(window);
}

void
load_window_skip(struct load_window *window)
{
	assert(window->loads > 0);
	window->loads--;
}

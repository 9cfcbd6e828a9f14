#include "config.h"

#include "base/request_args.h"

#include "base/alloc.h"

static size_t
bytes_of(unsigned int count)
{
	return count * sizeof(struct slice);
}

void
request_args_grow(struct request_args *args, unsigned int first)
{
	unsigned int room = args->room > 0 ? args->room * 2 : first;

	args->items = xgrow(args->items, bytes_of(args->room), bytes_of(room));
	args->room = room;
}

void
request_args_keep(struct request_args *args)
{
	for (; args->kept < args->count; args->kept++)
		args->items[args->kept] = arena_copy(&args->arena, args->items[args->kept]);
}

static void
release_items(struct request_args *args)
{
	xgrow_free(args->items, bytes_of(args->room));
	args->items = NULL;
	args->room = 0;
}

void
request_args_clear(struct request_args *args, unsigned int most_room)
{
	if (args->arena.top != NULL)
		arena_release(&args->arena);
	if (args->room > most_room)
		release_items(args);
	args->count = 0;
	args->kept = 0;
}

void
request_args_release(struct request_args *args)
{
	request_args_clear(args, 0);
	release_items(args);
}

void
request_args_give_arena(struct request_args *args, struct arena *arena)
{
	if (args->arena.top != NULL)
		arena_join(arena, &args->arena);
}

size_t
request_args_held_bytes(const struct request_args *args)
{
	return args->arena.held + bytes_of(args->count);
}

size_t
request_args_room_bytes(const struct request_args *args)
{
	return args->arena.room + bytes_of(args->room);
}

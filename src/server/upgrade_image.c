#include "config.h"

#include "server/upgrade_image.h"

#include "base/clock.h"
#include "pubsub/idempotency.h"
#include "pubsub/presence.h"
#include "pubsub/presence_image.h"
#include "server/core.h"
#include "server/presence_service.h"

#define IMAGE_VERSION "1"

static bool
put_key(void *arg, const struct idempotency_record *record)
{
	const struct hub_outcome *outcome = record->outcome;
	struct image_writer *w = arg;

	image_begin(w, 9, "FANFARED.IDKEY");
	image_put_text(w, record->channel);
	image_put_text(w, record->key);
	image_put(w, record->end_us);
	image_put(w, outcome->receivers);
	image_put(w, outcome->queued);
	image_put(w, outcome->catching_up);
	image_put(w, outcome->position.epoch);
	image_put(w, outcome->position.seq);
	return image_pass(w);
}

static bool
put_channel(void *arg, const struct presence_image_channel *channel)
{
	struct image_writer *w = arg;

	image_begin(w, 4, "FANFARED.PRESENCE");
	image_put_text(w, channel->name);
	image_put(w, channel->announced);
	image_put(w, channel->vacant_at_us);
	return image_pass(w);
}

static bool
put_member(void *arg, const struct presence_image_member *member)
{
	struct image_writer *w = arg;

	image_begin(w, 7, "FANFARED.MEMBER");
	image_put_text(w, member->name);
	image_put_text(w, member->info);
	image_put(w, member->is_connected);
	image_put(w, member->announced);
	image_put(w, member->lease_until_us);
	image_put(w, member->leave_at_us);
	return image_pass(w);
}

bool
server_upgrade_write(
    const struct server *server, bool (*sink)(void *arg, struct slice commands), void *arg)
{
	struct image_writer w = {.sink = sink, .arg = arg, .ok = true};
	const struct presence_image_sink members = {put_channel, put_member, &w};

	image_begin(&w, 2, "FANFARED.UPGRADE");
	image_put_text(&w, SLICE(IMAGE_VERSION));
	return image_finish(
	    &w, idempotency_each(server->idempotency, clock_mono_us(), put_key, &w) &&
		    presence_image_write(server->presence->presence, &members));
}

void
upgrade_image_begin(struct upgrade_image_reader *r, struct server *server)
{
	*r = (struct upgrade_image_reader){.server = server};
}

static bool
read_key(struct upgrade_image_reader *r, const struct slice *argv, size_t argc)
{
	struct idempotency *keys = r->server->idempotency;
	uint64_t now_us = clock_mono_us(), n[6];
	struct hub_outcome outcome;

	if (argc != 9 || !image_numbers(argv, argc, 3, n) || argv[1].len > UINT16_MAX ||
	    argv[2].len > IDEMPOTENCY_KEY_MAX || n[0] > INT64_MAX ||
	    idempotency_find(keys, argv[1], argv[2], now_us) != NULL)
		return false;
	outcome = (struct hub_outcome){
	    .receivers = n[1], .queued = n[2], .catching_up = n[3], .position = {n[4], n[5]}};
	if (n[0] > now_us)
		idempotency_add(keys, argv[1], argv[2], &outcome, now_us, n[0] - now_us);
	return true;
}

static bool
read_channel(struct upgrade_image_reader *r, const struct slice *argv, size_t argc)
{
	uint64_t n[2];

	if (argc != 4 || !image_numbers(argv, argc, 2, n) || n[0] > 1)
		return false;
	buffer_clear(&r->channel);
	buffer_append_slice(&r->channel, argv[1]);
	r->has_channel = true;
	return presence_image_add_channel(r->server->presence->presence,
	    &(struct presence_image_channel){argv[1], n[0] == 1, n[1]});
}

static bool
read_member(struct upgrade_image_reader *r, const struct slice *argv, size_t argc)
{
	struct presence_service *service = r->server->presence;
	uint64_t n[4];

	if (!r->has_channel || argc != 7 || !image_numbers(argv, argc, 3, n) || n[0] > 1 ||
	    n[1] > 1)
		return false;
	return presence_image_add_member(service->presence, &service->elsewhere,
	    buffer_slice(&r->channel),
	    &(struct presence_image_member){argv[1], argv[2], n[0] == 1, n[1] == 1, n[2], n[3]},
	    clock_mono_us());
}

static bool
read_command(struct upgrade_image_reader *r, const struct slice *argv, size_t argc)
{
	if (slice_is(argv[0], "FANFARED.UPGRADE")) {
		if (r->state != IMAGE_EMPTY || argc != 2 || !slice_is(argv[1], IMAGE_VERSION))
			return false;
		r->state = IMAGE_OPEN;
		return true;
	}
	if (r->state != IMAGE_OPEN)
		return false;
	if (slice_is(argv[0], "FANFARED.IDKEY"))
		return read_key(r, argv, argc);
	if (slice_is(argv[0], "FANFARED.PRESENCE"))
		return read_channel(r, argv, argc);
	if (slice_is(argv[0], "FANFARED.MEMBER"))
		return read_member(r, argv, argc);
	if (!slice_is(argv[0], "FANFARED.END") || argc != 1)
		return false;
	presence_image_end(r->server->presence->presence);
	r->state = IMAGE_WHOLE;
	return true;
}

bool
upgrade_image_read(struct upgrade_image_reader *r, const struct slice *argv, size_t argc,
    char *error, size_t error_len)
{
	if (r->state != IMAGE_BROKEN && read_command(r, argv, argc))
		return true;
	r->state = IMAGE_BROKEN;
	image_refuse("state", argv[0], error, error_len);
	return false;
}

bool
upgrade_image_end(struct upgrade_image_reader *r)
{
	buffer_release(&r->channel);
	return r->state == IMAGE_WHOLE;
}

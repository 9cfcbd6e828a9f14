#include "config.h"

#include "http/ws_offer.h"

#include <stdint.h>
#include <string.h>

#include "http/syntax.h"

enum { BITS_MIN = 8, BITS_MAX = 15 };

enum parameter {
	SERVER_NO_CONTEXT,
	CLIENT_NO_CONTEXT,
	SERVER_BITS,
	CLIENT_BITS,
	PARAMETERS,
};

static const struct {
	const char *name;
	bool may_have_value;
	bool needs_value;
} parameters[PARAMETERS] = {
    [SERVER_NO_CONTEXT] = {"server_no_context_takeover", false, false},
    [CLIENT_NO_CONTEXT] = {"client_no_context_takeover", false, false},
    [SERVER_BITS] = {"server_max_window_bits", true, true},
    [CLIENT_BITS] = {"client_max_window_bits", true, false},
};

/* A token or a quoted string. 0: not a valid number of bits. */
static unsigned
bits_of(struct slice value)
{
	uint64_t bits;

	value = http_trim(value);
	if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
		value = (struct slice){value.ptr + 1, value.len - 2};
	if (!slice_to_u64(value, &bits) || bits < BITS_MIN || bits > BITS_MAX)
		return 0;
	return (unsigned)bits;
}

/* The index in the table, or PARAMETERS. */
static unsigned
find(struct slice name)
{
	unsigned i;

	for (i = 0; i < PARAMETERS && !slice_is_nocase(name, parameters[i].name); i++)
		;
	return i;
}

/* *given has a bit for each parameter seen. False if the offer must be declined. */
static bool
accept_parameter(struct slice parameter, unsigned *given)
{
	bool has_value = memchr(parameter.ptr, '=', parameter.len) != NULL;
	struct slice value = parameter;
	unsigned i = find(http_trim(http_take_until(&value, '=')));
	unsigned bits;

	if (i == PARAMETERS || (*given & 1U << i) != 0)
		return false;
	if (has_value ? !parameters[i].may_have_value : parameters[i].needs_value)
		return false;
	*given |= 1U << i;
	if (!has_value)
		return true;
	bits = bits_of(value);
	return i == SERVER_BITS ? bits == BITS_MAX : bits != 0;
}

/* No valid parameter has a semicolon in it, quoted or not. */
bool
ws_offer_accept(struct slice offer, bool *names_window)
{
	struct slice rest = offer;
	unsigned given = 0;

	if (!slice_is_nocase(http_trim(http_take_until(&rest, ';')), "permessage-deflate"))
		return false;
	while (rest.len > 0)
		if (!accept_parameter(http_take_until(&rest, ';'), &given))
			return false;
	*names_window = (given & 1U << SERVER_BITS) != 0;
	return true;
}

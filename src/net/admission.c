#include "config.h"

#include "net/admission.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/greeting.h"

enum refusal { REFUSED_ADDRESS_COUNT, REFUSED_ADDRESS_RATE, REFUSED_UNPROVEN };

static const struct {
	const char *error;
	const char *directive;
} refusals[] = {
    [REFUSED_ADDRESS_COUNT] = {"-ERR max number of connections from this address reached\r\n",
	"max-connections-per-address"},
    [REFUSED_ADDRESS_RATE] =
	{"-ERR too many new connections from this address, try again later\r\n", "max-accept-rate"},
    [REFUSED_UNPROVEN] = {"-ERR max number of unauthenticated clients reached\r\n",
	"max-unauthenticated"},
};

static uint32_t
count_refusal(struct net *net, enum refusal why)
{
	switch (why) {
	case REFUSED_ADDRESS_COUNT:
		net->figures.refused_address_count++;
		return net->config->addresses.connections;
	case REFUSED_ADDRESS_RATE:
		net->figures.refused_address_rate++;
		return net->config->addresses.rate;
	default:
		net->figures.refused_unproven++;
		return net->config->unproven_max;
	}
}

/*
 * The peer is told why while there are few to tell; in a storm closing has to be enough. The line
 * fits into the buffer of any new socket, or is lost.
 */
static void
refuse(struct net *net, int fd, const struct net_peer *peer, enum refusal why)
{
	const char *error = refusals[why].error;
	uint64_t now_us = clock_mono_us();
	uint32_t limit = count_refusal(net, why);

	if (!peer->is_tls && rate_limit_take(&net->refusal_lines, now_us))
		(void)!send(fd, error, strlen(error), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (rate_limit_take(&net->refusal_logs, now_us))
		log_notice("refusing client addr=%s: %s %u reached", peer->address,
		    refusals[why].directive, (unsigned)limit);
	close(fd);
}

void
admission_admit(struct net *net, int fd, const struct net_peer *peer)
{
	const struct net_config *config = net->config;

	if (config->unproven_max > 0 && net->figures.unproven >= config->unproven_max) {
		refuse(net, fd, peer, REFUSED_UNPROVEN);
		return;
	}
	switch (
	    address_limits_admit(net->addresses, &config->addresses, &peer->key, clock_mono_us())) {
	case ADDRESS_ADMITTED:
		conn_open(net, fd, peer);
		break;
	case ADDRESS_TOO_MANY:
		refuse(net, fd, peer, REFUSED_ADDRESS_COUNT);
		break;
	case ADDRESS_TOO_FAST:
		refuse(net, fd, peer, REFUSED_ADDRESS_RATE);
		break;
	}
}

static bool
is_balancer(const struct net_config *config, const struct sockaddr *from)
{
	if (!config->proxy_protocol)
		return false;
	for (size_t i = 0; i < config->proxy_from_count; i++)
		if (address_network_has(&config->proxy_from[i], from))
			return true;
	return false;
}

void
admission_accepted(
    struct net *net, int fd, const struct net_peer *peer, const struct sockaddr *from)
{
	if (is_balancer(net->config, from))
		greeting_open(net, fd, peer);
	else
		admission_admit(net, fd, peer);
}

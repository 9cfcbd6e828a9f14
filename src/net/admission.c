#include "config.h"

#include "net/admission.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/proxy_pending.h"

static const char *const directives[] = {
    [PROTOCOL_ADDRESS_COUNT] = "max-connections-per-address",
    [PROTOCOL_ADDRESS_RATE] = "max-accept-rate",
    [PROTOCOL_UNAUTHENTICATED_COUNT] = "max-unauthenticated",
};

/* Returns the value of the limit that was reached. */
static uint32_t
count_refusal(struct net *net, enum protocol_notice why)
{
	switch (why) {
	case PROTOCOL_ADDRESS_COUNT:
		net->figures.refused_address_count++;
		return net->config->addresses.connections;
	case PROTOCOL_ADDRESS_RATE:
		net->figures.refused_address_rate++;
		return net->config->addresses.rate;
	default:
		net->figures.refused_unauthenticated++;
		return net->config->unauthenticated_max;
	}
}

static void
log_refusal(struct net *net, const char *address, enum protocol_notice why)
{
	uint32_t limit = count_refusal(net, why);

	if (rate_limit_take(&net->refusal_logs, clock_mono_us()))
		log_notice("refusing client addr=%s: %s %u reached", address, directives[why],
		    (unsigned)limit);
}

/* The peer gets a notice unless too many connections are refused at once; then it is only closed.
 * The notice fits into the buffer of any new socket, or is lost. */
static void
refuse(struct net *net, int fd, const struct net_peer *peer, enum protocol_notice why)
{
	struct slice notice = net->protocols[peer->service]->notices[why];

	if (!peer->is_tls && notice.len > 0 &&
	    rate_limit_take(&net->refusal_lines, clock_mono_us()))
		(void)!send(fd, notice.ptr, notice.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	log_refusal(net, peer->address, why);
	close(fd);
}

/* A proxy: its connections are those of many clients. */
static bool
is_shared(const struct net *net, const struct net_peer *peer)
{
	const struct net_config *config = net->config;

	if (!net->services[peer->service].has_shared_peers)
		return false;
	for (size_t i = 0; i < config->shared_from_count; i++)
		if (address_network_has_text(&config->shared_from[i], slice_of(peer->address)))
			return true;
	return false;
}

/* counted: what the limits by address count; empty: they do not apply. */
static void
admit(struct net *net, int fd, const struct net_peer *peer, const struct address_key *counted)
{
	switch (address_limits_admit(
	    net->addresses, &net->config->addresses, counted, clock_mono_us())) {
	case ADDRESS_ADMITTED:
		conn_open(net, fd, peer, counted);
		break;
	case ADDRESS_TOO_MANY:
		refuse(net, fd, peer, PROTOCOL_ADDRESS_COUNT);
		break;
	case ADDRESS_TOO_FAST:
		refuse(net, fd, peer, PROTOCOL_ADDRESS_RATE);
		break;
	}
}

void
admission_admit(struct net *net, int fd, const struct net_peer *peer)
{
	const struct net_config *config = net->config;
	const struct address_key nobody = {.len = 0};

	if (config->unauthenticated_max > 0 &&
	    net->figures.unauthenticated >= config->unauthenticated_max) {
		refuse(net, fd, peer, PROTOCOL_UNAUTHENTICATED_COUNT);
		return;
	}
	admit(net, fd, peer, is_shared(net, peer) ? &nobody : &peer->key);
}

bool
net_admit_address(struct net *net, const char *address, const struct address_key *key)
{
	switch (
	    address_limits_admit(net->addresses, &net->config->addresses, key, clock_mono_us())) {
	case ADDRESS_TOO_MANY:
		log_refusal(net, address, PROTOCOL_ADDRESS_COUNT);
		return false;
	case ADDRESS_TOO_FAST:
		log_refusal(net, address, PROTOCOL_ADDRESS_RATE);
		return false;
	default:
		return true;
	}
}

void
net_leave_address(struct net *net, const struct address_key *key)
{
	address_limits_leave(net->addresses, key, net->now_us);
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
		proxy_pending_open(net, fd, peer);
	else
		admission_admit(net, fd, peer);
}

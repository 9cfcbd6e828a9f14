#include "config.h"

#include "net/admission.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/greeting.h"

static const char too_many[] = "-ERR max number of connections from this address reached\r\n";
static const char too_fast[] =
    "-ERR too many new connections from this address, try again later\r\n";

/*
 * The peer is told why while there are few to tell; in a storm closing has to be enough. The line
 * fits into the buffer of any new socket, or is lost.
 */
static void
refuse(struct net *net, int fd, const struct net_peer *peer, enum address_verdict verdict)
{
	bool is_many = verdict == ADDRESS_TOO_MANY;
	uint64_t now_us = clock_mono_us();

	if (is_many)
		net->figures.refused_address_count++;
	else
		net->figures.refused_address_rate++;
	if (rate_limit_take(&net->refusal_lines, now_us))
		(void)!send(fd, is_many ? too_many : too_fast,
		    is_many ? sizeof(too_many) - 1 : sizeof(too_fast) - 1,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (rate_limit_take(&net->refusal_logs, now_us))
		log_notice("refusing client addr=%s: %s %u reached", peer->address,
		    is_many ? "max-connections-per-address" : "max-accept-rate",
		    is_many ? (unsigned)net->config->addresses.connections
			    : (unsigned)net->config->addresses.rate);
	close(fd);
}

void
admission_admit(struct net *net, int fd, const struct net_peer *peer)
{
	enum address_verdict verdict = address_limits_admit(
	    net->addresses, &net->config->addresses, &peer->key, clock_mono_us());

	if (verdict != ADDRESS_ADMITTED)
		refuse(net, fd, peer, verdict);
	else
		conn_open(net, fd, peer);
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

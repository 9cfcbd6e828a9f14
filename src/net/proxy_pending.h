#ifndef NET_PROXY_PENDING_H
#define NET_PROXY_PENDING_H

/*
 * Accepted connections of load balancers whose PROXY header is incomplete, limited in number and in
 * time. Exactly the header is read from the plain socket: the bytes behind it, of TLS or of a
 * protocol, are left to the connection. For this layer only.
 */
struct net;
struct net_peer;

#define PROXY_PENDING_MAX 1024
#define PROXY_PENDING_S 5

void proxy_pending_open(
    struct net *net, int fd, const struct net_peer *peer); /* takes fd; copies */
void proxy_pending_close(struct net *net);                 /* all of them */

#endif

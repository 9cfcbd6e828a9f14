#ifndef NET_ADMISSION_H
#define NET_ADMISSION_H

/*
 * Admission: what is done between accept() and the opening of a connection. It applies the limits
 * of addresses; a connection of a balancer waits for its PROXY header before. Private to this
 * layer.
 */
struct net;
struct net_peer;
struct sockaddr;

/* Both take fd. Of a connection just accepted from this address, of which peer tells the rest: it
 * becomes a conn, now or when its PROXY header has come, or it is closed. */
void admission_accepted(
    struct net *net, int fd, const struct net_peer *peer, const struct sockaddr *from);

/* peer is who it is for, as far as anyone knows: limits, then conn_open. */
void admission_admit(struct net *net, int fd, const struct net_peer *peer);

#endif

#ifndef NET_ADMISSION_H
#define NET_ADMISSION_H

/*
 * Admission: what stands between accept() and a connection. The limits of addresses are held here,
 * and where a balancer says for whom it connects, that is read first. Private to this layer.
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

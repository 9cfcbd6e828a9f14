#ifndef NET_ADMISSION_H
#define NET_ADMISSION_H

/* Admission: the steps between accept() and conn_open(). It first waits for the PROXY header of a
 * connection from a load balancer, then applies the address limits. For this layer only. */
struct net;
struct net_peer;
struct sockaddr;

/* Both take fd. A connection was accepted from this address; peer has its other properties. It
 * becomes a conn, now or after its PROXY header, or is closed. */
void admission_accepted(
    struct net *net, int fd, const struct net_peer *peer, const struct sockaddr *from);

/* Applies the limits to the connection, and opens it. peer is the client, after the PROXY header if
 * there is one. */
void admission_admit(struct net *net, int fd, const struct net_peer *peer);

#endif

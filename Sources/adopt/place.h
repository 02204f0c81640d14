// Represents Internet addresses of both families in one form.
#ifndef ADOPT_PLACE_H
#define ADOPT_PLACE_H

#include <netinet/in.h>

#include "inherited.h"

struct place {
    // IPv4 addresses are mapped into IPv6.
    struct in6_addr address;
    uint32_t scope;
    in_port_t port;
    bool is_v4, is_any;
};

// Reads an address; false if it is not an Internet address.
bool adopt_read_place(const struct sockaddr_storage *raw, socklen_t size, struct place *place);

#endif

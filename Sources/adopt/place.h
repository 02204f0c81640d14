// Internet addresses in one form for both families.
#ifndef ADOPT_PLACE_H
#define ADOPT_PLACE_H

#include <netinet/in.h>

#include "inherited.h"

struct place {
    // An IPv4 address is mapped into IPv6.
    struct in6_addr address;
    uint32_t scope;
    in_port_t port;
    bool is_v4, is_any;
};

// False if it is no Internet address.
bool adopt_read_place(const struct sockaddr_storage *raw, socklen_t size, struct place *place);

#endif

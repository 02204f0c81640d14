#include "place.h"

#include <stddef.h>
#include <string.h>

bool adopt_read_place(const struct sockaddr_storage *raw, socklen_t size, struct place *place) {
    memset(place, 0, sizeof *place);
    if (raw->ss_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *v4 = (const void *)raw;
        place->address.s6_addr[10] = place->address.s6_addr[11] = 0xFF;
        memcpy(&place->address.s6_addr[12], &v4->sin_addr, 4);
        place->port = v4->sin_port;
    } else if (raw->ss_family == AF_INET6 && size >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
        const struct sockaddr_in6 *v6 = (const void *)raw;
        place->address = v6->sin6_addr;
        place->port = v6->sin6_port;
        if (size >= sizeof *v6 && IN6_IS_ADDR_LINKLOCAL(&place->address)) place->scope = v6->sin6_scope_id;
    } else {
        return false;
    }
    static const uint8_t none[16];
    place->is_v4 = IN6_IS_ADDR_V4MAPPED(&place->address);
    place->is_any = !memcmp(&place->address.s6_addr[12], none, 4) &&
                    (place->is_v4 || IN6_IS_ADDR_UNSPECIFIED(&place->address));
    return true;
}

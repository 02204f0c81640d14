/// Reads net.ipv4.ip_unprivileged_port_start of this network namespace: lower ports need CAP_NET_BIND_SERVICE. Nil if
/// /proc does not have it.
func unprivilegedPortStart(in proc: ProcFileSystem = ProcFileSystem()) -> UInt16? {
    guard let line = try? proc.read("sys/net/ipv4/ip_unprivileged_port_start"),
        let number = (line.hasSuffix("\n") ? line.prefix(line.count - 1) : line).decimal
    else { return nil }
    return UInt16(exactly: number)
}

/// A listener that shares an address with the app's and is not in the registry.
struct ForeignListener: Sendable {
    /// The name of the app's socket with this address.
    var name: ByteString
    var record: SocketRecord
    var holder: SocketHolder
}

/// Finds TCP listeners at the addresses of these ones whose cookies are not `known`.
func findForeignListeners(at listeners: [Listener], except known: [UInt64]) -> [ForeignListener] {
    var result: [ForeignListener] = []
    for listener in listeners.map({ $0.identity }) where listener.transport == .tcp {
        let records =
            (try? internetSockets(
                .tcp, family: listener.address.family, states: .listening, localPort: listener.address.port)) ?? []
        let unknown = records.filter { $0.address == listener.address && !known.contains($0.cookie) }
        guard !unknown.isEmpty, let holders = try? holders(ofSocketInodes: unknown.map { $0.inode }) else { continue }
        for record in unknown {
            guard let holder = holders.found.first(where: { $0.inode == record.inode }) else { continue }
            result.append(ForeignListener(name: listener.name, record: record, holder: holder))
        }
    }
    return result
}

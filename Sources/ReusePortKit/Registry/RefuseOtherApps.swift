import CLinux

/// Keeps other apps from taking an address between `refuseOtherApps` and the record of this app's listener. Fails at once
/// if another invocation holds the lock.
///
/// Nil where this user may not write to the run directory, in which its owner has made the app's folder.
func lockAddresses(of app: ByteString, in runDirectory: ByteString) throws(Failure) -> Descriptor? {
    guard let folder = try openRunDirectory(runDirectory, create: false),
        runDirectory.withCString({ access($0, W_OK) }) == 0
    else { return nil }
    return try Registry(app: app, path: runDirectory, folder: folder).lock(.addresses, until: .noWait)
}

/// Refuses an address on which another app's copies listen: both apps would direct its connections, and this one would
/// take those copies for its own lost ones, and stop them.
func refuseOtherApps(_ listeners: [ListenerIdentity], of app: ByteString, in runDirectory: ByteString) throws(Failure) {
    guard let folder = try openRunDirectory(runDirectory, create: false) else { return }
    for other in entryNames(of: folder) where other != app && (try? parseLabel(other, "")) != nil {
        guard let registry = try? Registry.open(other, in: runDirectory, create: false) else { continue }
        for copy in AppState.reconciled(registry).copies where copy.state < .retired {
            for listener in copy.listeners {
                let address = listener.publicPath.map { SocketAddress.unix($0) } ?? listener.identity.address
                let ours = listeners.first {
                    $0.transport == listener.identity.transport
                        && ($0.address == address || areWildcards($0, listener.identity))
                }
                guard let ours else { continue }
                throw Failure(
                    .system, "hand over", "socket \(ours.name) at \(address.description)",
                    "pid \(copy.process.pid) of app \(other) listens there",
                    remedy: "choose another address, or reuseport-exec migrate \(other)")
            }
        }
    }
}

/// Whether one is `*:80` and the other `0.0.0.0:80`: the second gets all IPv4 clients of the first.
private func areWildcards(_ one: ListenerIdentity, _ other: ListenerIdentity) -> Bool {
    switch (one.address, other.address) {
    case (.ipv4(0, let port), .ipv6(0, 0, let same, _)): port == same && other.isDualStack
    case (.ipv6(0, 0, let port, _), .ipv4(0, let same)): port == same && one.isDualStack
    default: false
    }
}

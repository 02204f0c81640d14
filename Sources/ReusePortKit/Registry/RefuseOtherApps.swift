import CLinux

/// Keeps other apps from taking an address, from the look at who has it until ours is written down. Does not wait.
///
/// Nil where the run directory is not ours to write: its owner has made our folder in it.
func lockAddresses(of app: ByteString, in runDirectory: ByteString) throws(Failure) -> Descriptor? {
    guard let folder = try openRunDirectory(runDirectory, create: false),
        runDirectory.withCString({ access($0, W_OK) }) == 0
    else { return nil }
    return try Registry(app: app, path: runDirectory, folder: folder).lock(.addresses, until: .noWait)
}

/// Refuses an address on which another app's copies listen: its connections would be directed by both, and its copies
/// would be taken for ones that the registry has lost, and be stopped.
func refuseOtherApps(_ listeners: [ListenerIdentity], of app: ByteString, in runDirectory: ByteString) throws(Failure) {
    guard let folder = try? open(runDirectory, O_RDONLY | O_DIRECTORY) else { return }
    for other in entryNames(of: folder) where other != app && (try? parseLabel(other, "")) != nil {
        guard let registry = try? Registry.open(other, in: runDirectory, create: false) else { continue }
        for copy in registry.loadCopies() where copy.state != .ended && copy.state != .retired && copy.process.isAlive()
        {
            for listener in copy.listeners {
                let address = listener.publicPath.map { SocketAddress.unix($0) } ?? listener.identity.address
                guard
                    let ours = listeners.first(where: {
                        $0.transport == listener.identity.transport && $0.address == address
                    })
                else { continue }
                throw Failure(
                    .system, "hand over", "socket \(ours.name) at \(address.description)",
                    "pid \(copy.process.pid) of app \(other) listens there", remedy: "see reuseport-exec state \(other)"
                )
            }
        }
    }
}

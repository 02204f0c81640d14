import CLinux

// Unix sockets in the file system.
//
// A copy binds a name of its own beside the public path, `.NAME.PID`, which its program is told and which exists as
// long as the copy. The public path is a second link to the same socket (link(2), rename(2)). So a program that removes
// the path it was told takes nothing from its successor, and a public path that was removed can be put back.

/// Hands over the public paths of Unix sockets by rename(2), whatever steers the app's groups.
enum Rename {
    /// What a listener may do with its public path, by the state of its copies.
    struct Claim {
        enum Right {
            /// It serves clients there.
            case serves
            /// It will serve clients there once its copy has started, or started again.
            case expects
            case none
        }

        var listener: Listener
        var right: Right
        /// Whether all its copies have ended or stopped listening.
        var isOver: Bool
        /// Whether clients can ever have reached it there: not if its generation failed.
        var hasServed: Bool
    }
}

extension Rename {
    /// Makes sure, before anything is switched, that `publish` will succeed. `all` are the app's listeners, including
    /// these: a public path that leads to one of them may be replaced.
    static func prepare(_ listeners: [Listener], among all: [Listener]) throws(Failure) {
        let cookies = listeners.filter { $0.publicPath != nil }.map { $0.identity.cookie }
        if cookies.isEmpty { return }
        let names = socketNames(all)
        var prepared: [UInt64] = []
        for one in names where cookies.contains(one.cookie) {
            _ = try one.prepare(names)
            prepared.append(one.cookie)
        }
        // The directory of a listener without names is gone, or may not be opened.
        if !cookies.allSatisfy({ prepared.contains($0) }) { throw Failure("publish", "unix sockets", .noEntry) }
    }

    /// Gives Unix sockets their public names.
    static func publish(_ listeners: [Listener]) throws(Failure) {
        for names in socketNames(listeners) { try names.publish() }
    }

    /// Whether one of them has its public name. It then has it from a cutover, before which the copies were ready.
    static func isPublished(_ listeners: [Listener]) -> Bool {
        for names in socketNames(listeners) where names.leads(names.publicName) { return true }
        return false
    }

    /// Repairs the file system: puts back public paths of listeners that serve, removes those that no copy claims, and
    /// removes the own names of copies that no longer listen. Under the app's lock.
    ///
    /// The program may be able to write to the directory, so only the app's own names and stale sockets are touched.
    static func reconcile(_ claims: [Claim]) {
        let all = socketNames(claims.map { $0.listener })
        for names in all {
            let claim = claims[names.index]
            switch claim.right {
            case .serves:
                if (try? names.prepare(all)) == true { _ = try? names.publish() }
            case .expects: break
            case .none:
                let isClaimed = all.contains { claims[$0.index].right != .none && $0.hasSamePath(as: names) }
                if !isClaimed { removePublicName(names, hasServed: claim.hasServed) }
            }
            guard claim.isOver, names.isUnserved(names.ownName) else { continue }
            names.remove(names.ownName)
            names.remove(names.temporaryName)
        }
    }

    /// Removes a public path that no copy claims.
    private static func removePublicName(_ names: SocketNames, hasServed: Bool) {
        guard let present = names.status(of: names.publicName) else { return }
        if !names.leads(names.publicName) {
            guard names.isUnserved(names.publicName) else { return }
            // A stale socket is this copy's if its own name leads to it, or, if that is gone, if the copy has served.
            if let own = names.status(of: names.ownName) {
                guard own.isSameFile(as: present) else { return }
            } else if !hasServed {
                return
            }
        }
        names.remove(names.publicName)
    }

    /// The public paths that old programs may remove when they end, although they belong to successors by now: programs
    /// can know them from their own configuration, and can remove them from directories that they may write. `user`
    /// returns the user of the process that has the listener at an index.
    static func pathsAtRisk(
        _ old: [Listener], successors: [Listener], user: (Int) -> UInt32?
    ) -> [ByteString] {
        let successors = socketNames(successors)
        var result: [ByteString] = []
        for names in socketNames(old) where successors.contains(where: { $0.hasSamePath(as: names) }) {
            guard let user = user(names.index), let directory = try? status(of: names.folder),
                user == 0 || directory.owner == user || directory.mode & 0o022 != 0
            else { continue }
            result.append(names.path)
        }
        return result
    }

    /// Connects to the file to which a listener was bound, by the name that clients do not know. The probe stays without a
    /// connection if the program has put something else there.
    @inline(never)
    static func probe(_ identity: ListenerIdentity) throws(Failure) -> Descriptor {
        let object: ByteString = "a probe to socket \(identity.name)"
        let probe = try step("make", object, remedy: descriptorRemedy) { () throws(Errno) in try unixProbe() }
        let place = try followPath(identity.address.path ?? "", object: object, followsLast: false)
        _ = reason { () throws(Errno) in
            guard let file = try listeningUnixSockets().first(where: { $0.cookie == identity.cookie })?.file else {
                return
            }
            try connect(probe, to: place.name, in: place.directory, file: file)
        }
        return probe
    }
}

/// The names of one listener, and the directory that they are in.
private final class SocketNames {
    let folder: Descriptor
    let directory: ByteString
    /// The name under which clients find it.
    let publicName: ByteString
    /// The name to which it was bound.
    let ownName: ByteString
    /// The name of the second link before it is renamed.
    let temporaryName: ByteString
    let cookie: UInt64
    /// The file to which it was bound; nil if it does not listen (any more).
    var file: UnixSocketFile?
    /// Its index among the listeners that `socketNames` was given.
    let index: Int

    init(
        _ publicName: ByteString, ownName: ByteString, in directory: ByteString, cookie: UInt64, index: Int
    ) throws(Failure) {
        let place = try followPath("\(directory)/\(publicName)", object: directory, followsLast: false)
        folder = place.directory
        self.directory = directory
        self.publicName = publicName
        self.ownName = ownName
        temporaryName = "\(ownName).new"
        self.cookie = cookie
        self.index = index
    }

    /// The socket that has a name; nil if there is none.
    func status(of name: ByteString) -> FileStatus? {
        guard let found = try? ReusePortKit.status(of: name, in: folder), found.isSocket else { return nil }
        return found
    }

    /// Whether a name leads to this listener. While it listens, no other file can have its inode.
    func leads(_ name: ByteString) -> Bool { leads(name, in: self) }

    func leads(_ name: ByteString, in other: SocketNames) -> Bool {
        guard let file, let found = other.status(of: name) else { return false }
        return UnixSocketFile(found) == file
    }

    func hasSamePath(as other: SocketNames) -> Bool { publicName == other.publicName && directory == other.directory }

    func isUnserved(_ name: ByteString) -> Bool { ReusePortKit.isUnserved(name, in: folder) }

    /// Removes a name, but only of a socket: any other file under one of our names is somebody else's.
    func remove(_ name: ByteString) {
        if status(of: name) != nil { _ = reason { () throws(Errno) in try unlink(name, in: folder) } }
    }

    var path: ByteString { resolve(publicName, against: directory) }

    /// Makes the second link; false if the public path leads here already, as after a crash of `publish`.
    func prepare(_ ours: [SocketNames]) throws(Failure) -> Bool {
        // A crash may have left it; nobody else uses it while we hold the app's lock.
        remove(temporaryName)
        if leads(publicName) { return false }
        guard leads(ownName) else {
            throw Failure(.system, "publish", path, "\(ownName) beside it was removed or replaced")
        }
        try step("publish", path) { () throws(Errno) in
            if let there = reason({ () throws(Errno) in _ = try ReusePortKit.status(of: publicName, in: folder) }) {
                if there != .noEntry { throw there }
            } else {
                // A file that was put there since the start may be replaced only if it is a stale socket or ours.
                guard status(of: publicName) != nil,
                    isUnserved(publicName) || ours.contains(where: { $0.leads(publicName, in: self) })
                else { throw .exists }
            }
            try link(ownName, to: temporaryName, in: folder)
        }
        return true
    }

    /// Renames the second link to the public path; rename(2) leaves no moment without a listener.
    func publish() throws(Failure) {
        if leads(publicName) { return remove(temporaryName) }
        try step("rename", "\(temporaryName) to \(path)") { () throws(Errno) in
            guard leads(temporaryName) else { throw .noEntry }
            try rename(temporaryName, to: publicName, in: folder)
        }
    }
}

/// The names of those listeners that are Unix sockets with a public path, if their directory can be opened.
/// Not inlined: saves 2 kB.
@inline(never)
private func socketNames(_ listeners: [Listener]) -> [SocketNames] {
    var all: [SocketNames] = []
    for (index, listener) in listeners.enumerated() {
        guard let path = listener.publicPath, let own = listener.identity.address.path,
            let names = try? SocketNames(
                lastComponent(of: path), ownName: lastComponent(of: own), in: directory(of: path),
                cookie: listener.identity.cookie, index: index)
        else { continue }
        all.append(names)
    }
    // If the kernel does not answer, no name counts as leading to any of them.
    if !all.isEmpty, let listening = try? listeningUnixSockets() {
        for record in listening {
            for names in all where names.cookie == record.cookie { names.file = record.file }
        }
    }
    return all
}

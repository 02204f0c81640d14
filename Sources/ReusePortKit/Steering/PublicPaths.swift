import CLinux

// Unix sockets in the file system.
//
// A copy binds a name of its own beside the public path, `.NAME.PID`, and keeps it for as long as it lives; that is
// what its program is told. The public path is a second link to the same socket (link(2), rename(2)). So a program that
// removes what it was told takes nothing from its successor, and a public path that was removed can be put back.

/// The names of one listener, and the directory that they are in. A class, for that makes the smallest code.
final class Names {
    let folder: Descriptor
    let place: ByteString
    /// Under which clients find it.
    let shown: ByteString
    /// To which it was bound.
    let own: ByteString
    /// For a moment: the second link, before it is renamed.
    let spare: ByteString
    /// Which of all listeners it is, and its file; nil: it does not listen (any more).
    fileprivate let cookie: UInt64
    fileprivate var file: UnixSocketFile?
    /// Whose it is, as an index.
    let copy: Int

    fileprivate init(_ shown: ByteString, own: ByteString, in place: ByteString, cookie: UInt64, of copy: Int)
        throws(Errno)
    {
        let folder = try open(place, CLINUX_O_PATH | O_DIRECTORY)
        self.folder = folder
        self.place = place
        self.shown = shown
        self.own = own
        spare = "\(own).new"
        self.cookie = cookie
        self.copy = copy
    }

    /// Nil for what is there and is no socket.
    func facts(_ name: ByteString) -> FileStatus? {
        guard let facts = try? status(of: name, in: folder), facts.isSocket else { return nil }
        return facts
    }

    /// Whether a name leads to this listener. Its file cannot become another's while it listens.
    func leads(_ name: ByteString) -> Bool { leads(name, in: self) }

    func leads(_ name: ByteString, in other: Names) -> Bool {
        guard let file, let facts = other.facts(name) else { return false }
        return UnixSocketFile(device: facts.device, inode: facts.inode) == file
    }

    func hasSamePath(as other: Names) -> Bool { shown == other.shown && place == other.place }

    func isUnserved(_ name: ByteString) -> Bool { ReusePortKit.isUnserved(name, in: folder) }

    /// A socket only: whatever else has come to one of our names is somebody else's.
    func remove(_ name: ByteString) {
        if facts(name) != nil { _ = reason { () throws(Errno) in try unlink(name, in: folder) } }
    }

    var path: ByteString { resolve(shown, against: place) }

    /// Makes the second link; false if the path leads here already, as after a crash in between.
    func prepare(_ ours: [Names]) throws(Failure) -> Bool {
        // What a crash left there is nobody's: the lock is ours.
        remove(spare)
        if leads(shown) { return false }
        guard leads(own) else {
            throw Failure(.system, "publish", path, "\(own) beside it was removed or replaced")
        }
        try step("publish", path) { () throws(Errno) in
            if let there = reason({ () throws(Errno) in _ = try status(of: shown, in: folder) }) {
                if there != .noEntry { throw there }
            } else {
                // What has come to the name since the start is not ours to replace, unless nobody is there.
                guard facts(shown) != nil, isUnserved(shown) || ours.contains(where: { $0.leads(shown, in: self) })
                else { throw .exists }
            }
            try link(own, to: spare, in: folder)
        }
        return true
    }

    /// rename(2) leaves no moment without a listener.
    func publish() throws(Failure) {
        if leads(shown) { return remove(spare) }
        try step("rename", "\(spare) to \(path)") { () throws(Errno) in
            guard leads(spare) else { throw .noEntry }
            try rename(spare, to: shown, in: folder)
        }
    }
}

/// Gives Unix sockets of copies their public names.
func publishPaths(of copies: [CopyRecord]) throws(Failure) {
    for names in allNames(copies) { try names.publish() }
}

/// Those of all Unix sockets of these copies.
@inline(never)
func allNames(_ copies: [CopyRecord]) -> [Names] {
    var all: [Names] = []
    for index in copies.indices {
        for listener in copies[index].listeners {
            guard let path = listener.publicPath, let own = listener.identity.address.path,
                let names = try? Names(
                    lastComponent(of: path), own: lastComponent(of: own), in: directory(of: path),
                    cookie: listener.identity.cookie, of: index)
            else { continue }
            all.append(names)
        }
    }
    // Nothing is known where the kernel does not answer: then none of them is found to lead anywhere.
    if !all.isEmpty, let listening = try? listeningUnixSockets() {
        for record in listening {
            for names in all where names.cookie == record.cookie { names.file = record.file }
        }
    }
    return all
}

private func countOfPaths(_ copies: [CopyRecord]) -> Int {
    var count = 0
    for index in copies.indices {
        for listener in copies[index].listeners where listener.publicPath != nil { count += 1 }
    }
    return count
}

extension AppState {
    /// Makes sure, before anything is switched, that `publishPaths` will do what it is to do.
    func preparePaths(of copies: [CopyRecord]) throws(Failure) {
        let all = allNames(self.copies)
        let theirs = allNames(copies)
        for names in theirs { _ = try names.prepare(all) }
        // Their directory has gone, or is out of reach.
        if theirs.count < countOfPaths(copies) { throw Failure("publish", "unix sockets", .noEntry) }
    }

    /// Whether a cutover had begun to publish a generation when it was killed: its copies were ready then.
    @inline(never)
    func isPublished(_ generation: UInt64) -> Bool {
        for names in allNames(running(generation)) where names.leads(names.shown) { return true }
        return false
    }

    /// Puts right what the file system has of the app's Unix sockets: puts back public paths of copies that serve,
    /// removes those that no copy has any more, and the own names of copies that listen no more. Under the app's lock.
    ///
    /// The program may write the directory, perhaps: what is neither the app's own nor a socket on which nobody listens
    /// is left alone.
    @inline(never)
    func mendPaths() {
        let all = allNames(copies)
        for names in all {
            if claims(names) {
                if copies[names.copy].state == .live, (try? names.prepare(all)) == true { _ = try? names.publish() }
            } else if !all.contains(where: { $0.hasSamePath(as: names) && claims($0) }) {
                removePath(names)
            }
            let state = copies[names.copy].state
            guard state == .ended || state == .retired, names.isUnserved(names.own) else { continue }
            names.remove(names.own)
            names.remove(names.spare)
        }
    }

    /// Whether the public path is this copy's, or is about to be: also while it is started again.
    private func claims(_ names: Names) -> Bool {
        guard let generation = app.generation(copies[names.copy].generation),
            generation.state == .live || generation.state == .starting
        else { return false }
        switch copies[names.copy].state {
        case .starting, .ready: return true
        case .live, .ended: return generation.state == .live && copies[names.copy].copy < generation.copies
        case .stopping, .retired: return false
        }
    }

    /// Removes the public path of a copy that nobody has in its place.
    private func removePath(_ names: Names) {
        guard let present = names.facts(names.shown) else { return }
        if !names.leads(names.shown) {
            guard names.isUnserved(names.shown) else { return }
            // One that has never served has never had it; and a link to the same socket says whose it was.
            if let own = names.facts(names.own) {
                guard own.isSameFile(as: present) else { return }
            } else if app.generation(copies[names.copy].generation)?.state == .failed {
                return
            }
        }
        names.remove(names.shown)
    }
}

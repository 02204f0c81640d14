import CLinux

extension FileWatch {
    /// Watches for any change in an app's folder.
    @inline(never)
    init(in registry: Registry) throws(Errno) { try self.init(in: registry.path) }

    /// Watches for the next change of the app's own file, and not of its copies' files, of which there may be many.
    init(ofApp registry: Registry) throws(Errno) {
        do throws(Errno) {
            try self.init(in: ["\(registry.path)/app"], IN_ATTRIB | IN_DELETE_SELF)
        } catch {
            // The file is lost, and the next invocation that changes something writes it.
            try self.init(in: registry)
        }
    }
}

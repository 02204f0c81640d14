import CLinux

extension Changes {
    /// Watches everything that is recorded of an app.
    init(in registry: borrowing Registry) throws(Errno) { try self.init(in: registry.path) }

    /// Watches, once, the app's own file: those of its copies, of which there may be many, wake nobody.
    init(ofApp registry: borrowing Registry) throws(Errno) {
        do throws(Errno) {
            try self.init(in: ["\(registry.path)/app"], IN_ATTRIB | IN_DELETE_SELF)
        } catch {
            // The file is lost. The next invocation writes it.
            try self.init(in: registry)
        }
    }
}

import CLinux

extension Changes {
    /// When something in an app's folder has been replaced.
    init(in registry: borrowing Registry) throws(Errno) { try self.init(in: registry.path) }

    /// Once, when the app's own file has been replaced: those of its copies, of which there may be many, wake nobody.
    init(ofApp registry: borrowing Registry) throws(Errno) {
        do throws(Errno) {
            try self.init(in: ["\(registry.path)/app"], IN_ATTRIB | IN_DELETE_SELF)
        } catch {
            // It is lost: whoever comes next writes it.
            try self.init(in: registry)
        }
    }
}

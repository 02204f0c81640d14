import CLinux

extension FileWatch {
    /// Any change in an app's folder.
    init(in registry: borrowing Registry) throws(Errno) { try self.init(in: registry.path) }

    /// The next change of the app's own file. Files of its copies, of which there may be many, wake nobody.
    init(ofApp registry: borrowing Registry) throws(Errno) {
        do throws(Errno) {
            try self.init(in: ["\(registry.path)/app"], IN_ATTRIB | IN_DELETE_SELF)
        } catch {
            // The file is lost: whoever comes next writes it.
            try self.init(in: registry)
        }
    }
}

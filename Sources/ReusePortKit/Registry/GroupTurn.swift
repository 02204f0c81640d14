/// The file whose holder joins the app's reuseport groups, or lets members of them go.
private let groupLock: ByteString = "group.lock"

extension AppState {
    /// Level 2: one at a time changes who is in the groups. Places are known only if it is known what came first: a
    /// member that leaves while another comes is followed by that one or by the last before it. And a connection that
    /// comes to a group with a hole may go to any member, so also to one that somebody else has drained already.
    ///
    /// Nil at level 1, where places do not matter, and when it takes others too long: an old copy need not end.
    func turnInGroups(_ registry: borrowing Registry, _ patience: Milliseconds) throws(Failure) -> Descriptor? {
        guard case .index? = app.steering else { return nil }
        do throws(Failure) {
            return try registry.lock(groupLock, until: Deadline(after: patience))
        } catch {
            if error.code == .negative { return nil }
            throw error
        }
    }
}

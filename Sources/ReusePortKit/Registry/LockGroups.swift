extension AppState {
    /// One at a time changes who is in the groups, where places matter. They are known only if it is known what came
    /// first: a member that leaves while another comes is followed by that one or by the last before it. And a
    /// connection that comes to a group with a hole may go to any member, so also to one that somebody else has drained
    /// already.
    ///
    /// Nil where places do not matter, and when it takes others too long: an old copy need not end.
    func lockGroups(in registry: borrowing Registry, within patience: Milliseconds) throws(Failure) -> Descriptor? {
        guard needsTurn else { return nil }
        do throws(Failure) {
            return try registry.lock(.groups, until: Deadline(after: patience))
        } catch {
            if error.code == .negative { return nil }
            throw error
        }
    }
}

extension AppState {
    /// Takes the turn to change the members of groups whose places matter. Only one invocation does so at a time, for two
    /// reasons. The order of joining and leaving must be known: the place of a member that leaves is filled by the last
    /// member, which may be one that joins meanwhile. And while a place is empty, a connection may go to any member, even
    /// to one that another invocation has drained already.
    ///
    /// Nil where places do not matter, and if another invocation keeps the turn for too long: an old copy may never end.
    func lockGroups(in registry: Registry, within patience: Milliseconds) throws(Failure) -> Descriptor? {
        guard needsTurn else { return nil }
        do throws(Failure) {
            return try registry.lock(.groups, until: Deadline(after: patience))
        } catch {
            if error.code == .negative { return nil }
            throw error
        }
    }
}
